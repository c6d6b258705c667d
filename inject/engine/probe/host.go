package probe

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	schemeUnix = "unix"
	schemeTCP  = "tcp"
	schemeTLS  = "tls"
)

// maxSocketPath is the kernel's limit for the path of a socket, without the final zero byte.
const maxSocketPath = 107

// Host is where an engine is: the value of a client's _EXPERIMENTAL_DAGGER_RUNNER_HOST.
type Host struct {
	raw    string
	scheme string
	// address is the path of a socket, or host:port.
	address string
	// name is what a certificate must be for.
	name  string
	files tlsFiles
}

// tlsFiles names the files of a TLS client. Without ca, the system's roots are trusted.
type tlsFiles struct{ ca, cert, key string }

// String returns the URL as it was given.
func (h Host) String() string { return h.raw }

// ParseHost parses a URL of the scheme unix, tcp or tls. It rejects what a client would misread or could not read: such a
// client is silent for ten minutes.
func ParseHost(raw string) (Host, error) {
	h, err := parseHost(raw)
	if err != nil {
		return Host{}, fmt.Errorf("host %q: %w", raw, err)
	}
	return h, nil
}

func parseHost(raw string) (Host, error) {
	if strings.Contains(raw, "$(") {
		return Host{}, errors.New("a variable is not expanded: Kubernetes expands those that are declared before their use, and no others")
	}
	scheme, rest, found := strings.Cut(raw, "://")
	switch {
	case !found:
		return Host{}, errors.New("want unix:///PATH, tcp://HOST:PORT or tls://HOST:PORT")
	case scheme == schemeUnix:
		return parseUnix(raw, rest)
	case scheme != schemeTCP && scheme != schemeTLS:
		return Host{}, fmt.Errorf("scheme %q is not supported: want unix, tcp or tls", scheme)
	}
	u, err := url.Parse(raw)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // The message already names the URL.
		}
		return Host{}, fmt.Errorf("%w (an IPv6 address is written in brackets)", err)
	}
	host, port := u.Hostname(), u.Port()
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case u.User != nil:
		return Host{}, errors.New("no user can be given")
	case host == "":
		return Host{}, errors.New("the host is missing")
	case port == "":
		return Host{}, errors.New("the port is missing: want " + scheme + "://HOST:PORT")
	case err != nil || number == 0:
		return Host{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	case u.Path != "" || u.Fragment != "":
		return Host{}, errors.New("nothing can follow the port but the query of a tls URL")
	case strings.Contains(host, ":") && !strings.HasPrefix(u.Host, "["):
		return Host{}, errors.New("an IPv6 address is written in brackets")
	case strings.Contains(host, ":") && net.ParseIP(strings.Split(host, "%")[0]) == nil:
		return Host{}, fmt.Errorf("%q is not an IPv6 address", host)
	case !strings.Contains(host, ":") && strings.HasPrefix(u.Host, "["):
		return Host{}, errors.New("brackets are for IPv6 addresses only")
	}
	h := Host{raw: raw, scheme: scheme, address: net.JoinHostPort(host, port), name: host}
	h.files, err = parseQuery(scheme, u.RawQuery)
	return h, err
}

func parseUnix(raw, file string) (Host, error) {
	switch {
	case !strings.HasPrefix(file, "/"):
		return Host{}, fmt.Errorf("the path of the socket is relative: did you mean unix:///%s?", file)
	case strings.ContainsAny(file, "?#%\x00"):
		// Clients that parse the URL and clients that cut off its scheme read these differently.
		return Host{}, errors.New("the path of a socket cannot contain ?, #, % or a zero, and a unix URL has no query")
	case path.Clean(file) != file:
		return Host{}, fmt.Errorf("the path is not clean: want unix://%s", path.Clean(file))
	case file == "/":
		return Host{}, errors.New("the path of the socket is missing")
	case len(file) > maxSocketPath:
		return Host{}, fmt.Errorf("the path has %d bytes: sockets can have %d", len(file), maxSocketPath)
	}
	return Host{raw: raw, scheme: schemeUnix, address: file}, nil
}

func parseQuery(scheme, raw string) (tlsFiles, error) {
	var files tlsFiles
	if raw == "" {
		return files, nil
	}
	if scheme != schemeTLS {
		return files, fmt.Errorf("a %s URL has no query", scheme)
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return files, fmt.Errorf("query: %w", err)
	}
	known := map[string]*string{"ca_path": &files.ca, "cert_path": &files.cert, "key_path": &files.key}
	keys := make([]string, 0, len(query))
	for key := range query {
		keys = append(keys, key)
	}
	slices.Sort(keys) // The same URL always gets the same error.
	for _, key := range keys {
		field, values := known[key], query[key]
		switch {
		case field == nil:
			return files, fmt.Errorf("query: key %q is unknown: want ca_path, cert_path and key_path", key)
		case len(values) > 1:
			return files, fmt.Errorf("query: %s is given %d times", key, len(values))
		case values[0] == "":
			return files, fmt.Errorf("query: %s is empty", key)
		}
		*field = values[0]
	}
	if (files.cert == "") != (files.key == "") {
		return files, errors.New("query: cert_path and key_path belong together: give both or neither")
	}
	return files, nil
}
