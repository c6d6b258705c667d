package controlplane

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// The names of the binaries, in a folder of assets.
const (
	etcd      = "etcd"
	apiServer = "kube-apiserver"
)

// launch is what envtest starts in a binary's place: envtest keeps process ids to itself, and we need them. The binary
// is named through a link in the control plane's own folder, so that its command line tells whose it is.
const launch = `#!/bin/sh
echo $$ >"$0.pid" && exec "$0.link" "$@"
`

// Launcher returns the path of a program that runs a binary under a name. Its process must be started with that path
// as it is; Stop kills it, also where this process has ended in any other way. A name serves once at a time.
func (cp *ControlPlane) Launcher(name, binary string) (string, error) {
	if _, err := os.Stat(binary); err != nil {
		return "", err
	}
	path := filepath.Join(cp.dir, name)
	if err := os.Symlink(binary, path+".link"); err != nil {
		return "", err
	}
	// A process forked while the script is open for writing would inherit it, and the script could not be executed
	// ("text file busy") until that process is gone.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return path, os.WriteFile(path, []byte(launch), 0o700)
}

// watch waits for the end of its input and then kills the processes of the folder $1 and removes it. It ignores the
// signals of a terminal: a Ctrl-C reaches it too, and our own process may be killed by it without a chance to clean up.
// A process id is trusted only if that process was started from the folder: ids are reused.
const watch = `trap "" INT TERM HUP
read -r _
for file in "$1"/*.pid; do
	read -r pid <"$file" || continue
	case "$({ tr '\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid"; } 2>/dev/null)" in
	*"$1"*) kill -9 "$pid" ;;
	esac
done
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
`

// newGuard starts a process that kills the processes of a folder and removes it, once the function returned is called or
// this process ends in any way: a test binary that panics, times out or is interrupted runs no cleanup, and would leave
// an API server behind. The function returns when that is done.
func newGuard(dir string) (release func() error, err error) {
	cmd := exec.Command("/bin/sh", "-c", watch, "guard", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return sync.OnceValue(func() error {
		if err := stdin.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	}), nil
}

// tail returns the end of a log, as the last part of an error.
func tail(path string) string {
	const size = 2000
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > size {
		if _, err := file.Seek(-size, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(file)
	if err != nil || len(text) == 0 {
		return ""
	}
	return fmt.Sprintf("\nthe end of %s:\n%s", filepath.Base(path), bytes.TrimSpace(text))
}
