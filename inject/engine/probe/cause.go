package probe

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// Cause is why an engine cannot be used. The set is closed: each has one sentence, one remedy and one exit code.
type Cause string

// The causes, in the order in which a connection can fail.
const (
	CauseNoSocket       Cause = "no_socket"
	CausePermission     Cause = "permission"
	CauseRefused        Cause = "refused"
	CauseUnreachable    Cause = "unreachable"
	CauseDNS            Cause = "dns"
	CauseTLS            Cause = "tls"
	CauseNoAnswer       Cause = "no_answer"
	CauseNotAnEngine    Cause = "not_an_engine"
	CauseOtherBuildkitd Cause = "other_buildkitd"
	CauseVersion        Cause = "version"
)

type explanation struct {
	exitCode int
	sentence string
	remedy   string
}

// explanations has exit codes that differ from this program's own (1, 2) and from those of shells and container runtimes (from
// 125 on). Users match on them, so a code must never be reused for another cause.
var explanations = map[Cause]explanation{
	CauseNoSocket: {10, "There is no engine socket at this path.",
		"Either no engine runs on this node, or its socket is elsewhere: compare the path with the engine's own."},
	CausePermission: {11, "This process may not connect to the engine's socket.",
		"Add the socket's group to the pod's securityContext.supplementalGroups."},
	CauseRefused: {12, "The engine takes no connections.",
		"It is starting, or it has died: look at the engine's pod and its log."},
	CauseUnreachable: {13, "The network has no way to the engine's address.",
		"Check the address, and the NetworkPolicies on both sides."},
	CauseDNS: {14, "The name of the engine's host does not resolve.",
		"Check the name, its namespace, and the cluster's DNS."},
	CauseTLS: {15, "The TLS connection to the engine fails.",
		"Compare the name in the URL, ca_path, cert_path and key_path with the certificates of the server."},
	CauseNoAnswer: {16, "The engine does not answer in time.",
		"Either something on the way drops the packets (a NetworkPolicy, a firewall, a mesh), or the engine hangs."},
	CauseNotAnEngine: {17, "What answers is not a Dagger Engine.",
		"Check the address and the port."},
	CauseOtherBuildkitd: {18, "What answers is another buildkitd, not a Dagger Engine.",
		"Check the address and the port."},
	CauseVersion: {19, "The engine and the client have versions that do not work together.",
		"Use the CLI of the engine's own version, or upgrade the engine."},
}

// Causes returns every cause, by exit code.
func Causes() []Cause {
	return []Cause{CauseNoSocket, CausePermission, CauseRefused, CauseUnreachable, CauseDNS, CauseTLS, CauseNoAnswer,
		CauseNotAnEngine, CauseOtherBuildkitd, CauseVersion}
}

// Sentence says what the cause is.
func (c Cause) Sentence() string { return explanations[c].sentence }

// Remedy says what to do about it.
func (c Cause) Remedy() string { return explanations[c].remedy }

// ExitCode is the exit code of a program that gives up for this cause.
func (c Cause) ExitCode() int { return explanations[c].exitCode }

// Error says why an engine cannot be used.
type Error struct {
	Cause Cause
	// Detail is what was seen, as a clause.
	Detail string
	// remedy, if set, is more specific than the cause's own.
	remedy string
	err    error
}

func (e *Error) Error() string {
	return strings.TrimSuffix(e.Cause.Sentence(), ".") + ": " + e.Detail + ". " + e.Remedy()
}

// Unwrap returns the error of the operating system or of a library behind it, if any.
func (e *Error) Unwrap() error { return e.err }

// Remedy says what to do about it.
func (e *Error) Remedy() string {
	if e.remedy != "" {
		return e.remedy
	}
	return e.Cause.Remedy()
}

// failure is an Error whose detail is the text of an error.
func failure(cause Cause, prefix string, err error) *Error {
	return &Error{Cause: cause, Detail: prefix + oneLine(err.Error()), err: err}
}

// maxDetail bounds what a server can make us print.
const maxDetail = 300

// oneLine makes text from another program fit for one line of a log.
func oneLine(text string) string {
	short := truncate.Text(text, maxDetail)
	cut := short != text
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(short, ""))
	if cut {
		return text
	}
	return strings.TrimRight(text, ". ")
}
