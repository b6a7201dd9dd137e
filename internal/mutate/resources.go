package mutate

import (
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/mutate/inject"
)

// resourceClass is the first class that is for a namespace, nil if none is.
func resourceClass(r *v1alpha1.Resources, namespace string) *v1alpha1.ResourceClass {
	if r == nil {
		return nil
	}
	for i := range r.Classes {
		patterns := r.Classes[i].Namespaces
		matches := func(pattern string) bool {
			ok, err := path.Match(pattern, namespace)
			return ok && err == nil // the configuration was validated
		}
		if len(patterns) == 0 || slices.ContainsFunc(patterns, matches) {
			return &r.Classes[i]
		}
	}
	return nil
}

// fillResources returns, by container name, the complete new requirements of each container that
// lacks something of its class. An amount that is there stays as it is; the spec is not changed.
// Containers of the same name, which the API server refuses, get nothing.
func fillResources(spec *corev1.PodSpec, class *v1alpha1.ResourceClass) map[string]corev1.ResourceRequirements {
	if class == nil {
		return nil
	}
	filled := make(map[string]corev1.ResourceRequirements)
	seen := make(map[string]bool, len(spec.InitContainers)+len(spec.Containers))
	fill := func(c *corev1.Container, defaults *corev1.ResourceRequirements) {
		if seen[c.Name] {
			delete(filled, c.Name)
			return
		}
		seen[c.Name] = true
		if defaults == nil {
			return
		}
		requests, limits := missing(&c.Resources, defaults, spec.Resources)
		if len(requests) == 0 && len(limits) == 0 {
			return
		}
		complete := *c.Resources.DeepCopy()
		complete.Requests = with(complete.Requests, requests)
		complete.Limits = with(complete.Limits, limits)
		filled[c.Name] = complete
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			fill(c, class.Sidecar)
		} else {
			fill(c, class.Init)
		}
	}
	for i := range spec.Containers {
		fill(&spec.Containers[i], class.Main)
	}
	return filled
}

// missing are the amounts that a container lacks: those of its defaults that keep limits at or
// above requests.
func missing(has, defaults, pod *corev1.ResourceRequirements) (requests, limits corev1.ResourceList) {
	requests, limits = make(corev1.ResourceList), make(corev1.ResourceList)
	for name, amount := range defaults.Requests {
		_, requested := has.Requests[name]
		// Kubernetes takes the limit for the request that is not there. A smaller one would make a
		// Pod that is Guaranteed Burstable.
		_, limited := has.Limits[name]
		if !requested && !limited && !ofPod(pod, name) {
			requests[name] = amount.DeepCopy()
		}
	}
	for name, amount := range defaults.Limits {
		if _, limited := has.Limits[name]; limited || ofPod(pod, name) {
			continue
		}
		limits[name] = amount.DeepCopy()
		if request, ok := has.Requests[name]; ok && inject.Exceeds(request, amount) {
			limits[name] = request.DeepCopy()
		}
	}
	return requests, limits
}

// ofPod reports whether a resource is left to what the Pod says as a whole. Where a Pod has limits
// of its own, that is every resource: the API server would make a request of the whole Pod of each
// request that is filled in (defaultPodRequests in k8s.io/kubernetes/pkg/apis/core/v1/defaults.go),
// and nothing could tell it from the user's afterwards.
func ofPod(pod *corev1.ResourceRequirements, name corev1.ResourceName) bool {
	if pod == nil {
		return false
	}
	_, requested := pod.Requests[name]
	return requested || len(pod.Limits) > 0
}

// with adds amounts to a list, which may be nil and is nil if it is empty.
func with(list, amounts corev1.ResourceList) corev1.ResourceList {
	if len(amounts) == 0 {
		return list
	}
	if list == nil {
		return amounts
	}
	maps.Copy(list, amounts)
	return list
}
