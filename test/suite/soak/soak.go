package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// soak is a cluster with the chart installed.
type soak struct {
	cluster  *localcluster.Cluster
	settings settings
	clients  []*kubernetes.Clientset
	folder   string
	// program is dagger-inject, as an operator runs it.
	program string
	// nodes are those that have engines, two of them only while engines are upgraded.
	nodes   []string
	current current
	runs    []*phaseRun
}

// policy leaves the engine to be read off its workload. Nothing runs in the pods that could wait for it.
const policy = `policy:
  wait: {enabled: false}
`

// newSoak installs the chart and prepares the namespaces.
func newSoak(ctx context.Context, cluster *localcluster.Cluster, settings settings) (*soak, error) {
	s := &soak{cluster: cluster, settings: settings}
	var err error
	if s.clients, err = newClients(cluster, settings.clients); err != nil {
		return nil, err
	}
	if s.folder, err = cluster.Folder("soak"); err != nil {
		return nil, err
	}
	if s.program, err = program.Build(ctx, s.folder); err != nil {
		return nil, err
	}
	var nodes corev1.NodeList
	if err := cluster.Client().List(ctx, &nodes); err != nil {
		return nil, err
	}
	for _, node := range nodes.Items {
		s.nodes = append(s.nodes, node.Name)
	}
	if err := os.WriteFile(filepath.Join(s.folder, "values.yaml"), []byte(policy+cluster.ReleaseValues()), 0o600); err != nil {
		return nil, err
	}
	for _, e := range entries {
		labels := map[string]string{}
		if e == byNamespace {
			labels[inject.LabelInject] = "true"
		}
		if err := cluster.CreateNamespace(ctx, e.namespace(), labels, nil); err != nil {
			return nil, err
		}
	}
	// The chart grants the webhook to read engines there.
	if err := cluster.CreateNamespace(ctx, enginechart.Namespace, nil, nil); err != nil {
		return nil, err
	}
	if err := s.installEngine(ctx, oldEngine); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.helm(ctx, "install", chartDir(), "--create-namespace"); err != nil {
		return nil, errors.Join(err, s.describe(ctx))
	}
	fmt.Printf("installed after %s\n", time.Since(began).Round(100*time.Millisecond))
	return s, nil
}

// helm installs or upgrades the release from a chart.
func (s *soak) helm(ctx context.Context, command, chart string, args ...string) error {
	all := []string{command, localcluster.ReleaseNamespace, chart, "--namespace", localcluster.ReleaseNamespace,
		"--values", filepath.Join(s.folder, "values.yaml"), "--wait", "--timeout", "3m"}
	_, err := s.cluster.Helm(ctx, append(all, args...)...)
	return err
}

// describe returns, as an error, what the webhook's pods are like and what they printed last.
func (s *soak) describe(ctx context.Context) error {
	replicas, err := s.cluster.Replicas(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, pod := range replicas {
		logs, err := s.cluster.Kubelet.Logs(pod.Namespace, pod.Name)
		if err != nil {
			logs = err.Error()
		}
		_, _ = fmt.Fprintf(&text, "\npod %s is %s; its log ends:\n%s", pod.Name, pod.Status.Phase, logs[max(0, len(logs)-2000):])
	}
	return errors.New(text.String())
}
