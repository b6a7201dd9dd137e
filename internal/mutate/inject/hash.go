package inject

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

// HashContainer identifies a container by its content: the first 16 hexadecimal digits of a SHA-256
// over its JSON form, with all defaults that the API server fills in, and without what its admission
// plug-ins add. So it is the same before and after storing.
//
// A field of a later Kubernetes is not in these types, and so not in the hash: if it is a default,
// the element is still known for ours; if it is a user's edit, it is lost when the element is made
// anew. The other way about, an upgrade of the cluster would make everything that was ever injected
// the user's, and refuse the next apply of each of them.
func HashContainer(c *corev1.Container) string {
	c = c.DeepCopy()
	defaultContainer(c)
	return hash(c)
}

// HashVolume is as HashContainer, for a volume.
func HashVolume(v *corev1.Volume) string {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		return hash(&corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	return hash(v)
}

// HashMount is as HashContainer, for a mount. Mounts have no defaults.
func HashMount(m *corev1.VolumeMount) string { return hash(m) }

// Altered reports whether a container had a hash when it was injected, and has another one only
// because of what others do to all containers: its image comes from a mirror of the registry or is
// pinned to a digest and always pulled, it got other requests and limits (a LimitRange's, or those of
// kubectl set resources) or variables (kubectl set env). Images are the references by which artifacts
// may have been asked for, amounts what it may have been injected with. Such a container is left as
// it is while the same is wanted: to change it back would undo what a platform does to all of them.
func Altered(c *corev1.Container, hash string, images []string, amounts []corev1.ResourceRequirements) bool {
	had := func(image string) bool {
		before := *c
		// Nothing is injected with these.
		before.Image, before.ImagePullPolicy, before.Env, before.EnvFrom = image, "", nil, nil
		if HashContainer(&before) == hash {
			return true
		}
		return slices.ContainsFunc(amounts, func(resources corev1.ResourceRequirements) bool {
			before.Resources = resources
			return HashContainer(&before) == hash
		})
	}
	return had(c.Image) || slices.ContainsFunc(images, func(image string) bool { return substitutes(c.Image, image) && had(image) })
}

// Amounts are the requests and limits that a container of a Pod may have been injected with: by one of
// the profiles, by default, or none.
func (p *Planner) Amounts(spec *corev1.PodSpec) []corev1.ResourceRequirements {
	amounts := []corev1.ResourceRequirements{{}, copyResources(spec, &v1alpha1.InitStrategy{})}
	for i := range p.options.Profiles {
		if init := &p.options.Profiles[i].Init; init.Resources != nil {
			amounts = append(amounts, copyResources(spec, init))
		}
	}
	return amounts
}

// Sized reports whether somebody gave a container requests and limits of his own.
func Sized(c *corev1.Container, amounts []corev1.ResourceRequirements) bool {
	return !slices.ContainsFunc(amounts, func(resources corev1.ResourceRequirements) bool {
		return equality.Semantic.DeepEqual(withDefaults(c.Resources), withDefaults(resources))
	})
}

func withDefaults(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	copied := *r.DeepCopy()
	defaultResources(&copied)
	return copied
}

// substitutes reports whether a reference may stand for another one: a mirror's, or a digest's.
func substitutes(value, asked string) bool {
	if len(value) > longestReference || len(asked) > longestReference {
		return false
	}
	is, err := reference.ParseNormalizedNamed(value)
	if err != nil {
		return false
	}
	was, err := reference.ParseNormalizedNamed(asked)
	if err != nil || !strings.HasSuffix(is.Name(), path.Base(was.Name())) {
		return false
	}
	if pinned, ok := was.(reference.Digested); ok {
		now, ok := is.(reference.Digested)
		return ok && now.Digest() == pinned.Digest()
	}
	tagged, hasTag := is.(reference.Tagged)
	before, hadTag := was.(reference.Tagged)
	if !hasTag {
		_, pinned := is.(reference.Digested)
		return pinned
	}
	return hadTag && tagged.Tag() == before.Tag()
}

// hash is empty for what has no JSON form. Nothing that was decoded from JSON lacks one.
func hash(element any) string {
	data, err := json.Marshal(element)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:16]
}

// defaultContainer does what SetObjectDefaults_Pod of k8s.io/kubernetes/pkg/apis/core/v1 (1.37) does
// to a container, and takes out what the ServiceAccount plug-in adds.
func defaultContainer(c *corev1.Container) {
	defaulted(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	defaulted(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	defaulted(&c.ImagePullPolicy, pullPolicy(c.Image))
	for i := range c.Ports {
		defaulted(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		defaultVariable(c.Env[i].ValueFrom)
	}
	defaultResources(&c.Resources)
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(probe)
	}
	if c.Lifecycle != nil {
		for _, handler := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if handler != nil {
				defaultHTTPGet(handler.HTTPGet)
			}
		}
	}
	mounts := c.VolumeMounts[:0]
	for _, mount := range c.VolumeMounts {
		if !tokenMount(&mount) {
			mounts = append(mounts, mount)
		}
	}
	c.VolumeMounts = mounts
}

func defaulted[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func pullPolicy(image string) corev1.PullPolicy {
	if len(image) > longestReference {
		return corev1.PullIfNotPresent
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return corev1.PullIfNotPresent
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok && tagged.Tag() == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func defaultVariable(from *corev1.EnvVarSource) {
	if from == nil {
		return
	}
	if from.FieldRef != nil {
		defaulted(&from.FieldRef.APIVersion, "v1")
	}
	if from.FileKeyRef != nil && from.FileKeyRef.Optional == nil {
		from.FileKeyRef.Optional = new(false)
	}
}

// defaultResources rounds amounts as the API server does, and lets requests follow limits as it
// does for Pods.
func defaultResources(r *corev1.ResourceRequirements) {
	for _, amounts := range []corev1.ResourceList{r.Limits, r.Requests} {
		for name, amount := range amounts {
			amount.RoundUp(resource.Milli)
			amounts[name] = amount
		}
	}
	for name, amount := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			if r.Requests == nil {
				r.Requests = corev1.ResourceList{}
			}
			r.Requests[name] = amount
		}
	}
}

func defaultProbe(probe *corev1.Probe) {
	if probe == nil {
		return
	}
	defaulted(&probe.TimeoutSeconds, 1)
	defaulted(&probe.PeriodSeconds, 10)
	defaulted(&probe.SuccessThreshold, 1)
	defaulted(&probe.FailureThreshold, 3)
	defaultHTTPGet(probe.HTTPGet)
	if probe.GRPC != nil && probe.GRPC.Service == nil {
		probe.GRPC.Service = new("")
	}
}

func defaultHTTPGet(get *corev1.HTTPGetAction) {
	if get == nil {
		return
	}
	defaulted(&get.Path, "/")
	defaulted(&get.Scheme, corev1.URISchemeHTTP)
	if get.Protocol == nil {
		get.Protocol = new(corev1.HTTPProtocolHTTP1)
	}
}

// tokenMount reports whether the ServiceAccount plug-in made a mount: read-only, of a volume whose
// name it makes up, at one path, and nothing else.
func tokenMount(m *corev1.VolumeMount) bool {
	made := corev1.VolumeMount{Name: m.Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	return strings.HasPrefix(m.Name, "kube-api-access-") && equality.Semantic.DeepEqual(*m, made)
}
