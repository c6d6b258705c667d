package probe_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
