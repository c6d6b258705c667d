package inject

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// seLinux is the policy's engine.socket.seLinuxOptions.
type seLinux struct {
	options corev1.SELinuxOptions
	json    json.RawMessage
	text    string
}

func newSELinux(o *corev1.SELinuxOptions) *seLinux {
	if *o == (corev1.SELinuxOptions{}) {
		return nil
	}
	var parts []string
	for _, part := range []struct{ name, value string }{{"user", o.User}, {"role", o.Role}, {"type", o.Type}, {"level", o.Level}} {
		if part.value != "" {
			parts = append(parts, part.name+"="+part.value)
		}
	}
	return &seLinux{options: *o, json: mustMarshal(o), text: strings.Join(parts, ",")}
}

// addSELinux adds the policy's options to a container that uses the socket, unless it or its pod sets some. Where SELinux
// enforces, a container of the type container_t may not connect to the engine's socket, which lies in a directory of the node
// and whose listener is privileged, and so of the type spc_t. The socket's group does not help.
func (i *injection) addSELinux(c *container, at *patch.Cursor) {
	options := i.policy.seLinux
	if options == nil || !i.connection.isSocket() {
		return
	}
	ofPod := i.pod.securityContext.Get("seLinuxOptions").IsSet()
	if c.index == inSpec {
		// The securityContext beside these fields is the pod's, and so a docker daemon's too.
		if !ofPod {
			i.status.Left = append(i.status.Left, LeftContainer{c.name, "gets no seLinuxOptions: its RunnerSpec has them for the whole pod only"})
		}
		return
	}
	switch own := c.raw.Get("securityContext").Get("seLinuxOptions"); {
	case !own.IsSet() && !ofPod:
		at.Member("securityContext").Member("seLinuxOptions").Set(options.json)
	case !own.IsSet() || !options.is(own):
		return
	}
	i.status.SELinux = options.text
}

// seLinuxOfWait returns the options of the init container that waits, nil for none: it connects to the socket as the others do.
func (i *injection) seLinuxOfWait() *corev1.SELinuxOptions {
	options := i.policy.seLinux
	if options == nil || !i.connection.isSocket() || i.pod.securityContext.Get("seLinuxOptions").IsSet() {
		return nil
	}
	return &options.options
}

// is reports whether a container has exactly these options.
func (s *seLinux) is(own rawjson.Value) bool {
	str := func(name string) string {
		value, _ := own.Get(name).Str()
		return value
	}
	return corev1.SELinuxOptions{User: str("user"), Role: str("role"), Type: str("type"), Level: str("level")} == s.options
}
