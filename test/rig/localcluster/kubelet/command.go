package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// command is a pod's container in the form of a process.
type command struct {
	container *corev1.Container
	launcher  string
	args, env []string
}

// newCommand resolves a container's variables and arguments, and fits them to a process that has no file system and no
// network of its own: paths below its mounts, and addresses to listen on, are replaced.
func newCommand(ctx context.Context, p *pod, volumes *volumes) (*command, error) {
	c := &command{container: &p.object.Spec.Containers[0]}
	kubeconfig, err := p.kubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	paths := volumes.paths(c.container)
	if len(c.container.EnvFrom) != 0 {
		return nil, fmt.Errorf("this kubelet knows no envFrom")
	}
	for _, v := range c.container.Env {
		value, err := p.variable(v, values)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		values[v.Name] = replacePaths(value, paths)
		c.env = append(c.env, v.Name+"="+values[v.Name])
	}
	c.env = append(c.env, "KUBECONFIG="+kubeconfig, "HOSTNAME="+p.object.Name)
	listen := loopback(p.ip)
	for _, argument := range append(append([]string{}, c.container.Command...), c.container.Args...) {
		argument = replacePaths(expand(argument, values), paths)
		c.args = append(c.args, anyAddress.ReplaceAllString(argument, "${1}"+listen+":$2"))
	}
	if len(c.container.Command) > 0 {
		c.args = c.args[1:]
	}
	if len(c.args) > 0 && c.args[0] == "webhook" {
		c.args = append(c.args, "--bind-address="+listen)
	}
	c.launcher, err = p.kubelet.opts.Launcher(fmt.Sprintf("pod-%s-%s", p.object.Name, p.object.UID[:8]), p.kubelet.opts.Binary)
	return c, err
}

// anyAddress finds flags that have a process listen on a port of every address.
var anyAddress = regexp.MustCompile(`^(--[a-z-]+=):(\d+)$`)

// replacePaths replaces the paths of mounts by those of their folders, the longest first.
func replacePaths(text string, paths map[string]string) string {
	mounts := make([]string, 0, len(paths))
	for mount := range paths {
		mounts = append(mounts, mount)
	}
	sort.Slice(mounts, func(i, j int) bool { return len(mounts[i]) > len(mounts[j]) })
	for _, mount := range mounts {
		if i := strings.Index(text, mount); i >= 0 {
			return text[:i] + paths[mount] + text[i+len(mount):]
		}
	}
	return text
}

var reference = regexp.MustCompile(`\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)`)

// expand replaces references to variables as Kubernetes does: $(NAME), if there is a variable of that name, and $$ is a $.
func expand(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := values[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

// variable returns a variable's value.
func (p *pod) variable(v corev1.EnvVar, values map[string]string) (string, error) {
	switch source := v.ValueFrom; {
	case source == nil:
		return expand(v.Value, values), nil
	case source.FieldRef != nil:
		return p.field(source.FieldRef.FieldPath)
	case source.ResourceFieldRef != nil:
		limits := p.object.Spec.Containers[0].Resources.Limits
		if source.ResourceFieldRef.Resource == "limits.memory" {
			return fmt.Sprint(limits.Memory().Value()), nil
		}
	}
	return "", fmt.Errorf("this kubelet knows no such source")
}

// field returns a field of the pod, as the downward API does.
func (p *pod) field(path string) (string, error) {
	for known, value := range map[string]string{
		"metadata.name":           p.object.Name,
		"metadata.namespace":      p.object.Namespace,
		"metadata.uid":            string(p.object.UID),
		"spec.nodeName":           p.object.Spec.NodeName,
		"spec.serviceAccountName": p.object.Spec.ServiceAccountName,
		"status.hostIP":           p.status.HostIP,
		"status.podIP":            p.ip,
	} {
		if path == known {
			return value, nil
		}
	}
	return "", fmt.Errorf("this kubelet knows no field %s", path)
}

// kubeconfig writes a kubeconfig with a token of the pod's service account, bound to the pod, and returns its path: the pod
// may do what RBAC grants that account.
func (p *pod) kubeconfig(ctx context.Context) (string, error) {
	account := p.object.Spec.ServiceAccountName
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		// Long enough for any test: it is not renewed.
		ExpirationSeconds: ptr.To[int64](24 * 3600),
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.object.Name, UID: p.object.UID},
	}}
	opts := p.kubelet.opts
	answer, err := opts.Client.CoreV1().ServiceAccounts(p.object.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token of the service account %s: %w", account, err)
	}
	config := rest.AnonymousClientConfig(opts.Config)
	config.BearerToken = answer.Status.Token
	shared, err := opts.Kubeconfig(config)
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.folder, "kubeconfig")
	return path, os.Rename(shared, path)
}
