//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
)

// become replaces this process by a command; tests replace it.
var become = syscall.Exec

// maxScript is how many bytes of the script are read; the webhook writes about 200.
const maxScript = 4096

// newLaunchCommand is the interpreter of the script that containers have as their dagger command where policies say wait.when: use. It
// takes the script's path and the arguments of dagger.
func newLaunchCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "launch SCRIPT [ARGUMENT...]",
		Short: "Wait for the engine, then become the dagger command that a script names",
		Long: `Wait for the engine in _EXPERIMENTAL_DAGGER_RUNNER_HOST, then become the dagger command that a script names, with the arguments.
It is the interpreter of the script that the webhook puts on PATH where the policy says wait.when: use. The script's second line has
the flags of the wait, and --command, the path of the command. What needs no engine (version, help, login) does not wait.

Exit codes: those of the command, where no engine answers those of dagger-inject wait, and where the command cannot be run 127 or 126,
as of a shell.`,
		Example:            `  dagger-inject launch /usr/local/bin/dagger call test`,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
				return cmd.Help()
			}
			return launch(cmd.Context(), s, args[0], args[1:])
		},
	}
}

// launch returns only if there is no engine, or no command.
func launch(ctx context.Context, s streams, script string, args []string) error {
	f, command, err := readScript(script)
	if err != nil {
		return err
	}
	f.host = os.Getenv(inject.EnvRunnerHost)
	if needsEngine(args) && isProbed(f.host) {
		s.out = io.Discard // it is the command's
		if err := waitForEngine(ctx, s, f); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // a signal that dagger would not see
	}
	err = become(command, append([]string{command}, args...), os.Environ())
	code := 126
	if errors.Is(err, os.ErrNotExist) {
		code = 127
	}
	return exitError{fmt.Errorf("running %s: %w", command, err), code}
}

// needsEngine reports whether dagger uses the engine that the pod was given. It does not in a session that somebody else has opened,
// nor where DAGGER_CLOUD_ENGINE or --cloud chooses another. Without arguments it is a shell, which does; and the help of most commands
// asks the engine for a module's functions.
func needsEngine(args []string) bool {
	for _, name := range []string{"DAGGER_CLOUD_ENGINE", "DAGGER_SESSION_PORT"} {
		if _, set := os.LookupEnv(name); set {
			return false
		}
	}
	for _, arg := range args {
		switch {
		case slices.Contains([]string{"--cloud", "--help", "-h", "--version"}, arg):
			return false
		case !strings.HasPrefix(arg, "-"):
			return !slices.Contains([]string{"version", "help", "completion", "login", "logout"}, arg)
		}
	}
	return true
}

// isProbed reports whether the wait knows how to ask an engine there. Dagger has more schemes, and says itself what is wrong with a host.
func isProbed(host string) bool {
	_, err := probe.ParseHost(host)
	return err == nil
}

// readScript reads the flags in the script's second line.
func readScript(path string) (*waitFlags, string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", badInput{err}
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(io.LimitReader(file, maxScript))
	lines.Scan()
	lines.Scan()
	if err := lines.Err(); err != nil {
		return nil, "", badInputf("%s: %w", path, err)
	}
	line, ok := strings.CutPrefix(lines.Text(), "# ")
	if !ok {
		return nil, "", badInputf("%s: line 2: want a # and flags, as the webhook writes them, got %.80q", path, lines.Text())
	}
	f, command := &waitFlags{}, ""
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true // the webhook may be newer than its image on this node
	flags.SetOutput(io.Discard)
	flags.StringVar(&command, "command", "", "")
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "")
	flags.StringVar(&f.onTimeout, "on-timeout", "fail", "")
	flags.StringVar(&f.expectVersion, "expect-version", anyVersion, "")
	if err := flags.Parse(strings.Fields(line)); err != nil {
		return nil, "", badInputf("%s: line 2: %w", path, err)
	}
	if command == "" {
		return nil, "", badInputf("%s: line 2: --command is missing", path)
	}
	return f, command, nil
}
