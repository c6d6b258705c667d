package kubelet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// volumes are the folders in place of a pod's volumes.
type volumes struct {
	pod     *pod
	written map[string]map[string][]byte
}

func newVolumes(p *pod) *volumes {
	return &volumes{pod: p, written: map[string]map[string][]byte{}}
}

// paths returns the folders of a container's mounts, by their paths in the container.
func (v *volumes) paths(container *corev1.Container) map[string]string {
	paths := map[string]string{}
	for _, m := range container.VolumeMounts {
		paths[m.MountPath] = filepath.Join(v.folder(m.Name), m.SubPath)
	}
	return paths
}

func (v *volumes) folder(name string) string { return filepath.Join(v.pod.folder, name) }

// keep updates the files until the context ends. A kubelet takes up to a minute and a half, which is too long for tests.
func (v *volumes) keep(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// After an error, a volume keeps its files until the next update.
			_ = v.update(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// update writes the volumes whose content has changed.
func (v *volumes) update(ctx context.Context) error {
	for _, volume := range v.pod.object.Spec.Volumes {
		content, err := v.content(ctx, volume)
		if err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
		written, found := v.written[volume.Name]
		if found && maps.EqualFunc(written, content, func(a, b []byte) bool { return string(a) == string(b) }) {
			continue
		}
		if err := writeAtomically(v.folder(volume.Name), content); err != nil {
			return err
		}
		v.written[volume.Name] = content
	}
	return nil
}

// content returns a volume's files. An account's token is not among them: a process cannot have a file of its own at the
// place where the client library looks for it, and gets a kubeconfig.
func (v *volumes) content(ctx context.Context, volume corev1.Volume) (map[string][]byte, error) {
	core := v.pod.kubelet.opts.Client.CoreV1()
	namespace := v.pod.object.Namespace
	switch {
	case volume.Secret != nil && volume.Secret.Items == nil:
		secret, err := core.Secrets(namespace).Get(ctx, volume.Secret.SecretName, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return secret.Data, nil
	case volume.ConfigMap != nil && volume.ConfigMap.Items == nil:
		object, err := core.ConfigMaps(namespace).Get(ctx, volume.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		content := maps.Clone(object.BinaryData)
		if content == nil {
			content = map[string][]byte{}
		}
		for key, text := range object.Data {
			content[key] = []byte(text)
		}
		return content, nil
	case volume.EmptyDir != nil, strings.HasPrefix(volume.Name, "kube-api-access-"):
		return nil, nil
	}
	return nil, fmt.Errorf("this kubelet has no volumes of that kind")
}

// writeAtomically replaces the files of a folder as a kubelet does: all at once, by renaming one link that the links to the
// files go through. A program that watches the folder sees the same changes as in a container.
func writeAtomically(folder string, content map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if len(content) == 0 {
		return nil
	}
	const current = "..data"
	before, _ := os.Readlink(filepath.Join(folder, current))
	version, err := os.MkdirTemp(folder, time.Now().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(version, name), data, 0o600); err != nil {
			return err
		}
	}
	next := filepath.Join(folder, current+"_tmp")
	if err := os.Symlink(filepath.Base(version), next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(folder, current)); err != nil {
		return err
	}
	for name := range content {
		link := filepath.Join(folder, name)
		if _, err := os.Lstat(link); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join(current, name), link); err != nil {
			return err
		}
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(folder, before))
}
