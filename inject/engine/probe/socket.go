package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// explainSocket finds the cause of an error on connecting to a socket, by the error's number and by the files at the path.
func explainSocket(ctx context.Context, file string, err error) *Error {
	info, statErr := os.Stat(file)
	switch {
	case ctx.Err() != nil:
		return &Error{Cause: CauseNoAnswer, Detail: "no connection to " + file + " is made", err: err}
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return &Error{Cause: CauseNoSocket, Detail: missing(file), err: err}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return explainPermission(file, err)
	case errors.Is(err, syscall.EAGAIN):
		return &Error{Cause: CauseNoAnswer, Detail: "the queue of connections of " + file + " is full", err: err}
	case statErr == nil && info.Mode().Type() != fs.ModeSocket:
		// If a hostPath volume names the socket's file and there is none, the container runtime creates a directory.
		return &Error{Cause: CauseNoSocket, Detail: fmt.Sprintf("%s is %s", file, typeName(info.Mode())), err: err}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return &Error{Cause: CauseRefused,
			Detail: "the file " + file + " exists, and nothing listens on it (an engine that died leaves it behind)", err: err}
	}
	return failure(CauseNotAnEngine, "", err)
}

func typeName(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory, not a socket"
	case mode.IsRegular():
		return "a plain file, not a socket"
	}
	return "not a socket"
}

// missing says what exists in place of the file. An empty directory means a node without an engine, a directory with another
// socket a wrong name, and no directory a wrong path or a missing mount.
func missing(file string) string {
	dir := filepath.Dir(file)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the directory " + dir + " does not exist"
	case err != nil:
		return "there is no file " + file
	case len(entries) == 0:
		return "the directory " + dir + " is empty"
	}
	var sockets []string
	for _, entry := range entries {
		if entry.Type() == fs.ModeSocket && len(sockets) < 3 {
			sockets = append(sockets, entry.Name())
		}
	}
	if len(sockets) == 0 {
		return fmt.Sprintf("the directory %s has no file %s", dir, filepath.Base(file))
	}
	return fmt.Sprintf("the directory %s has no file %s, but a socket %s", dir, filepath.Base(file), oneLine(strings.Join(sockets, ", ")))
}

// explainPermission names the permissions of the socket and the identity of this process.
func explainPermission(file string, err error) *Error {
	failed := &Error{Cause: CausePermission, err: err}
	groups, _ := os.Getgroups() // Without the groups, the line still says the rest.
	slices.Sort(groups)
	process := fmt.Sprintf("this process has uid %d, gid %d and the groups %v", os.Getuid(), os.Getgid(), groups)
	subject := file
	info, statErr := os.Stat(file)
	wanted := fs.FileMode(0o222)
	for statErr != nil && errors.Is(statErr, fs.ErrPermission) && subject != filepath.Dir(subject) {
		// A directory in the path cannot be entered.
		subject, wanted = filepath.Dir(subject), 0o111
		info, statErr = os.Stat(subject)
	}
	if statErr != nil {
		failed.Detail = process
		return failed
	}
	uid, gid, known := owner(info)
	if !known {
		failed.Detail = fmt.Sprintf("%s has mode %04o; %s", subject, info.Mode().Perm(), process)
		return failed
	}
	failed.Detail = fmt.Sprintf("%s belongs to uid %d and gid %d and has mode %04o; %s", subject, uid, gid, info.Mode().Perm(), process)
	member := gid == os.Getgid() || slices.Contains(groups, gid)
	granted := info.Mode().Perm() & wanted
	switch {
	case uid == os.Getuid() && granted&0o700 != 0, uid != os.Getuid() && member && granted&0o070 != 0,
		uid != os.Getuid() && !member && granted&0o007 != 0:
		failed.remedy = "The mode would allow it, so a security module (SELinux, AppArmor) forbids it: see the node's audit log."
	case granted&0o070 != 0 && !member:
		failed.remedy = fmt.Sprintf("Add %d to the pod's securityContext.supplementalGroups.", gid)
	default:
		failed.remedy = "The mode lets no group in: change it, or start the engine with the group that may connect (--group)."
	}
	return failed
}
