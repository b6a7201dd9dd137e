package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// checkSupported returns an error that names each field of a Pod that asks for something that this node
// cannot do. What is named here is done or has no meaning for a process; everything else is refused.
func checkSupported(spec *corev1.PodSpec) error {
	rest := spec.DeepCopy()
	// Where it runs, and in whose name, is decided by now.
	rest.NodeName, rest.NodeSelector, rest.Affinity, rest.Tolerations, rest.TopologySpreadConstraints = "", nil, nil, nil, nil
	rest.SchedulerName, rest.Priority, rest.PriorityClassName, rest.PreemptionPolicy = "", nil, "", nil
	rest.ServiceAccountName, rest.DeprecatedServiceAccount, rest.AutomountServiceAccountToken = "", "", nil
	// Isolates a container.
	rest.SecurityContext, rest.ImagePullSecrets, rest.DNSPolicy, rest.EnableServiceLinks = nil, nil, "", nil
	rest.TerminationGracePeriodSeconds = nil
	if rest.RestartPolicy == corev1.RestartPolicyAlways {
		rest.RestartPolicy = ""
	}
	for i := range rest.Volumes {
		clearVolume(&rest.Volumes[i])
	}
	if len(rest.Containers) == 1 {
		clearContainer(&rest.Containers[0])
	}
	fields, err := leaves(rest)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		return fmt.Errorf("this node runs processes and cannot do what these fields ask for: %s", strings.Join(fields, ", "))
	}
	return nil
}

func clearVolume(v *corev1.Volume) {
	v.Name, v.EmptyDir, v.DownwardAPI = "", nil, nil
	if v.ConfigMap != nil && v.ConfigMap.Name != "" {
		v.ConfigMap = nil
	}
	if v.Secret != nil && v.Secret.SecretName != "" {
		v.Secret = nil
	}
	if v.Projected == nil {
		return
	}
	for i := range v.Projected.Sources {
		source := &v.Projected.Sources[i]
		source.ConfigMap, source.Secret, source.DownwardAPI, source.ServiceAccountToken = nil, nil, nil, nil
	}
	v.Projected.DefaultMode = nil
}

func clearContainer(c *corev1.Container) {
	c.Name, c.Image, c.ImagePullPolicy, c.Args = "", "", "", nil
	c.Ports = slices.DeleteFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort == 0 && p.HostIP == "" })
	c.Resources, c.SecurityContext = corev1.ResourceRequirements{}, nil
	c.TerminationMessagePath, c.TerminationMessagePolicy = "", ""
	for i := range c.Env {
		e := &c.Env[i]
		e.Name, e.Value = "", ""
		if e.ValueFrom != nil {
			e.ValueFrom.FieldRef, e.ValueFrom.ResourceFieldRef = nil, nil
		}
	}
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		m.Name, m.MountPath, m.ReadOnly = "", "", false
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe == nil {
			continue
		}
		grace := probe.TerminationGracePeriodSeconds
		handler := probe.ProbeHandler
		if get := handler.HTTPGet; get != nil && get.Host == "" {
			handler.HTTPGet = nil
		}
		*probe = corev1.Probe{ProbeHandler: handler, TerminationGracePeriodSeconds: grace}
	}
}

// leaves returns the paths of all values that are left in a Pod spec, sorted.
func leaves(spec *corev1.PodSpec) ([]string, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("read the Pod: %w", err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("read the Pod: %w", err)
	}
	found := map[string]bool{}
	collect("spec", value, found)
	return slices.Sorted(maps.Keys(found)), nil
}

func collect(path string, value any, found map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			collect(path+"."+key, member, found)
		}
	case []any:
		for i, element := range value {
			collect(fmt.Sprintf("%s[%d]", path, i), element, found)
		}
	case nil:
	default:
		if value != "" {
			found[path] = true
		}
	}
}
