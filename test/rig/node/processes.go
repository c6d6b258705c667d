//go:build linux

package main

import "path/filepath"

// process is one program of the node. Its log is named after it.
type process struct {
	name string
	args []string
}

// processes returns what runs on the node. Each is started at once and again when it ends: what needs another one waits for
// it or fails until it is there.
func (s *settings) processes() []process {
	kubernetes := func(name string) string { return filepath.Join(inside, "kubernetes", name) }
	cert := func(name string) string { return filepath.Join(inside, "state", "certs", name) }
	config := func(name string) string { return filepath.Join(inside, "state", "config", name) }
	return []process{
		{"etcd", []string{kubernetes("etcd"), "--data-dir", "/var/lib/etcd", "--unsafe-no-fsync",
			"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380"}},
		{"kube-apiserver", []string{kubernetes("kube-apiserver"), "--etcd-servers", "http://127.0.0.1:2379",
			"--bind-address", "0.0.0.0", "--secure-port", "6443", "--advertise-address", s.NodeIP,
			"--tls-cert-file", cert("apiserver.crt"), "--tls-private-key-file", cert("apiserver.key"), "--client-ca-file", cert("ca.crt"),
			"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file", cert("accounts.key"), "--service-account-signing-key-file", cert("accounts.key"),
			"--service-cluster-ip-range", serviceRange, "--allow-privileged",
			"--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction",
			"--kubelet-certificate-authority", cert("ca.crt"), "--kubelet-preferred-address-types", "InternalIP",
			"--kubelet-client-certificate", cert("apiserver-kubelet.crt"), "--kubelet-client-key", cert("apiserver-kubelet.key")}},
		{"kube-controller-manager", []string{kubernetes("kube-controller-manager"), "--kubeconfig", cert("controller-manager.conf"),
			"--service-account-private-key-file", cert("accounts.key"), "--root-ca-file", cert("ca.crt"),
			"--use-service-account-credentials", "--leader-elect=false", "--bind-address", "127.0.0.1"}},
		{"kube-scheduler", []string{kubernetes("kube-scheduler"), "--kubeconfig", cert("scheduler.conf"),
			"--leader-elect=false", "--bind-address", "127.0.0.1"}},
		{"kube-proxy", []string{kubernetes("kube-proxy"), "--config", config("proxy.yaml"), "--hostname-override", nodeName}},
		{"containerd", []string{filepath.Join(inside, "containerd", "containerd"), "--config", config("containerd.toml")}},
		{"coredns", []string{filepath.Join(inside, "coredns", "coredns"), "-conf", config("Corefile")}},
		{"kubelet", []string{kubernetes("kubelet"), "--config", config("kubelet.yaml"), "--kubeconfig", cert("kubelet.conf"),
			"--hostname-override", nodeName, "--node-ip", s.NodeIP}},
	}
}
