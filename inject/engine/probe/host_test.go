package probe_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
)

func TestParseHost(t *testing.T) {
	for _, url := range []string{
		"unix:///run/dagger/engine.sock",
		"tcp://10.0.0.1:1234",
		"tcp://dagger-engine.ci.svc:1234",
		"tcp://[fd00::1]:1234",
		"tls://engine.ci.svc:443",
		"tls://engine.ci.svc:443?ca_path=/tls/ca.crt",
		"tls://engine.ci.svc:443?ca_path=/tls/ca.crt&cert_path=/tls/tls.crt&key_path=/tls/tls.key",
	} {
		host, err := probe.ParseHost(url)
		require.NoError(t, err, url)
		require.Equal(t, url, host.String())
	}
	for url, part := range map[string]string{
		"":                                "want unix:///PATH",
		"/run/dagger/engine.sock":         "want unix:///PATH",
		"unix:/run/engine.sock":           "want unix:///PATH",
		"kube-pod://engine":               `scheme "kube-pod" is not supported`,
		"docker-image://x":                `scheme "docker-image" is not supported`,
		"unix://run/engine.sock":          "relative: did you mean unix:///run/engine.sock?",
		"unix://":                         "relative",
		"unix:///":                        "missing",
		"unix:///run//engine.sock":        "want unix:///run/engine.sock",
		"unix:///run/dagger/":             "want unix:///run/dagger",
		"unix:///run/e.sock?a=b":          "cannot contain ?",
		"unix:///run/%65.sock":            "cannot contain ?, #, %",
		"unix:///run/" + long:             "sockets can have 107",
		"tcp://10.0.0.1":                  "the port is missing: want tcp://HOST:PORT",
		"tcp://[fd00::1]":                 "the port is missing",
		"tcp://10.0.0.1:":                 "the port is missing",
		"tcp://:1234":                     "the host is missing",
		"tcp://10.0.0.1:0":                "not a number from 1 to 65535",
		"tcp://10.0.0.1:65536":            "not a number from 1 to 65535",
		"tcp://10.0.0.1:http":             "invalid port",
		"tcp://fd00::1:1234":              "brackets",
		"tcp://[10.0.0.1]:1234":           "IPv6",
		"tcp://[nonsense]:1234":           "IPv6",
		"tcp://10.0.0.1:1234/":            "nothing can follow the port",
		"tcp://user@10.0.0.1:1234":        "no user",
		"tcp://10.0.0.1:1234?x=1":         "a tcp URL has no query",
		"tcp://$(NODE_IP):1234":           "a variable is not expanded",
		"tls://e:443?ca=/ca.crt":          `key "ca" is unknown: want ca_path`,
		"tls://e:443?ca_path=":            "ca_path is empty",
		"tls://e:443?ca_path=a&ca_path=b": "given 2 times",
		"tls://e:443?cert_path=/c":        "belong together",
		"tls://e:443?key_path=/k":         "belong together",
		"tls://e:443?ca_path=%zz":         "query",
	} {
		_, err := probe.ParseHost(url)
		require.ErrorContains(t, err, part, url)
	}
}

var long = strings.Repeat("x", 120)

func TestCompatible(t *testing.T) {
	for _, c := range []struct{ engine, client, note, problem string }{
		{"v0.21.8", "", "", ""},
		{"v0.21.8", "v0.21.8", "", ""},
		{"v0.21.8", "0.21.8", "", ""},
		{"v0.21.8", "v0.19.0", "v0.19.0 was expected; the two work together", ""},
		{"v0.19.0", "v1.0.0-beta.10", "v1.0.0-beta.10 was expected; the two work together", ""},
		{"v1.0.0-beta.10", "", "", ""},
		{"v0.18.0", "", "", "the engine is v0.18.0, and clients since v0.19.0 need at least that"},
		{"v0.18.19", "v0.19.0", "", "the engine is v0.18.19, and a client of v0.19.0 needs at least v0.19.0"},
		{"v0.21.8", "v0.18.19", "", "the client is v0.18.19, and an engine of v0.21.8 needs at least v0.19.0"},
		{"v0.18.0", "v0.18.0", "", ""},
		{"v0.13.0", "v0.18.0", "v0.18.0 was expected; before v0.19.0", ""},
		{"v0.19.0-250929104512-0a1b2c3d", "v0.19.0", "", "the engine is v0.19.0-250929104512"},
		{"v0.19.0-250929-dev-0a1b", "v0.19.1-250929-dev-0a1c", "the two work together", ""},
		{"v0.19.0-250929-dev-0a1b", "v0.19.1", "", "the engine is"},
		{"", "v0.21.8", "does not know its version", ""},
		{"a1b2c3", "v0.21.8", "", "the engine is a1b2c3"},
		{"v0.19.0+meta", "v0.19.0", "v0.19.0 was expected", ""},
	} {
		note, err := probe.Compatible(c.engine, c.client)
		if c.problem != "" {
			requireCause(t, probe.CauseVersion, c.problem, err)
			continue
		}
		require.NoError(t, err, "%+v", c)
		require.Contains(t, note, c.note)
		require.Equal(t, c.note == "", note == "", note)
	}
	for _, s := range []string{"", "v", "latest", "v1", "v1.2", "v1.2.3.4", "v01.2.3", "v1.2.3-", "v1.2.x", "v1.2.-3", "sha256:abc", "v1.2.3-a b", "vv1.2.3"} {
		require.Error(t, engine.CheckVersion(s), s)
	}
}
