package engine

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trim removes from a workload or Service what Discover does not read. A workload that is not an engine keeps only its name
// and labels, since a cluster has thousands of workloads and few engines; so does one that is still larger than maxSize. A
// status is reduced to what decisions depend on, so that most changes of it leave the object as it is. Trimming an object
// again changes nothing.
func Trim(object any) {
	trim(object)
	switch o := object.(type) {
	case *appsv1.DaemonSet:
		if o.Size() > maxSize {
			*o = appsv1.DaemonSet{ObjectMeta: nameOnly(&o.ObjectMeta)}
		}
	case *appsv1.StatefulSet:
		if o.Size() > maxSize {
			*o = appsv1.StatefulSet{ObjectMeta: nameOnly(&o.ObjectMeta)}
		}
	case *appsv1.Deployment:
		if o.Size() > maxSize {
			*o = appsv1.Deployment{ObjectMeta: nameOnly(&o.ObjectMeta)}
		}
	case *corev1.Service:
		if o.Size() > maxSize {
			*o = corev1.Service{ObjectMeta: nameOnly(&o.ObjectMeta)}
		}
	}
}

// maxSize is the size in bytes of the largest object that is kept: a user who may write workloads in one namespace must not be
// able to fill the memory of a webhook that reads all. An engine's workload has about two thousand bytes.
const maxSize = 64 << 10

func nameOnly(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, ResourceVersion: m.ResourceVersion}
}

func trim(object any) {
	switch o := object.(type) {
	case *appsv1.DaemonSet:
		r := daemonSetRollout(o).coarse()
		o.ObjectMeta, o.Status = trimMeta(&o.ObjectMeta), appsv1.DaemonSetStatus{}
		o.Spec = appsv1.DaemonSetSpec{Template: trimTemplate(&o.Spec.Template)}
		if len(o.Spec.Template.Spec.Containers) > 0 {
			o.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: r.Wanted, NumberReady: r.Ready, UpdatedNumberScheduled: r.Ready}
		}
	case *appsv1.StatefulSet:
		trimStatefulSet(o)
	case *appsv1.Deployment:
		r := deploymentRollout(o)
		o.ObjectMeta, o.Status = trimMeta(&o.ObjectMeta), appsv1.DeploymentStatus{}
		o.Spec = appsv1.DeploymentSpec{Replicas: o.Spec.Replicas, Template: trimTemplate(&o.Spec.Template)}
		if len(o.Spec.Template.Spec.Containers) > 0 {
			ready := r.coarseOf(*replicas(o.Spec.Replicas))
			o.Status = appsv1.DeploymentStatus{ReadyReplicas: ready, UpdatedReplicas: ready}
		}
	case *corev1.Service:
		s := &o.Spec
		o.ObjectMeta, o.Status = trimMeta(&o.ObjectMeta), corev1.ServiceStatus{}
		o.Spec = corev1.ServiceSpec{
			Type: s.Type, Selector: s.Selector, Ports: s.Ports, ClusterIP: s.ClusterIP,
			SessionAffinity: s.SessionAffinity, InternalTrafficPolicy: s.InternalTrafficPolicy,
		}
	}
}

// trimStatefulSet also keeps what the names of its replicas consist of.
func trimStatefulSet(o *appsv1.StatefulSet) {
	r, offer, spec := statefulSetRollout(o), offered(o), o.Spec
	o.ObjectMeta, o.Status = trimMeta(&o.ObjectMeta), appsv1.StatefulSetStatus{}
	o.Spec = appsv1.StatefulSetSpec{Replicas: spec.Replicas, Template: trimTemplate(&spec.Template)}
	if len(o.Spec.Template.Spec.Containers) == 0 {
		return
	}
	o.Spec.ServiceName, o.Spec.PodManagementPolicy, o.Spec.Ordinals = spec.ServiceName, spec.PodManagementPolicy, spec.Ordinals
	wanted := *replicas(spec.Replicas)
	ready := r.coarseOf(wanted)
	o.Status = appsv1.StatefulSetStatus{Replicas: wanted, ReadyReplicas: ready, UpdatedReplicas: ready}
	if offer < wanted {
		// Exactly that many exist and are ready, of either template.
		o.Status.Replicas, o.Status.ReadyReplicas, o.Status.UpdatedReplicas = offer, offer, min(ready, offer)
	}
}

// IsEngine reports whether a workload has a container that Discover takes for an engine's.
func IsEngine(object any) bool {
	var template *corev1.PodTemplateSpec
	switch o := object.(type) {
	case *appsv1.DaemonSet:
		template = &o.Spec.Template
	case *appsv1.StatefulSet:
		template = &o.Spec.Template
	case *appsv1.Deployment:
		template = &o.Spec.Template
	default:
		return false
	}
	return containerOf(template, hasEngineName) != nil || containerOf(template, hasEngineImage) != nil
}

func hasEngineName(c *corev1.Container) bool  { return c.Name == containerName }
func hasEngineImage(c *corev1.Container) bool { return IsEngineImage(c.Image) }

func trimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, ResourceVersion: m.ResourceVersion}
	if isDraining(m) {
		kept.Annotations = map[string]string{Annotation: Draining}
	}
	return kept
}

func trimTemplate(t *corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	var kept corev1.PodTemplateSpec
	for i := range t.Spec.Containers {
		if c := &t.Spec.Containers[i]; hasEngineName(c) || hasEngineImage(c) {
			kept.Spec.Containers = append(kept.Spec.Containers, trimContainer(c))
		}
	}
	if len(kept.Spec.Containers) == 0 {
		return kept
	}
	kept.Labels = t.Labels
	kept.Spec.NodeSelector, kept.Spec.Tolerations = t.Spec.NodeSelector, t.Spec.Tolerations
	kept.Spec.HostNetwork, kept.Spec.ImagePullSecrets = t.Spec.HostNetwork, t.Spec.ImagePullSecrets
	if t.Spec.Affinity != nil {
		kept.Spec.Affinity = &corev1.Affinity{NodeAffinity: t.Spec.Affinity.NodeAffinity}
	}
	if t.Spec.SecurityContext != nil {
		kept.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsGroup: t.Spec.SecurityContext.RunAsGroup}
	}
	for _, volume := range t.Spec.Volumes {
		if volume.HostPath != nil {
			kept.Spec.Volumes = append(kept.Spec.Volumes, volume)
		}
	}
	return kept
}

func trimContainer(c *corev1.Container) corev1.Container {
	kept := corev1.Container{Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, Ports: c.Ports, VolumeMounts: c.VolumeMounts}
	if c.SecurityContext != nil {
		kept.SecurityContext = &corev1.SecurityContext{RunAsGroup: c.SecurityContext.RunAsGroup}
	}
	return kept
}
