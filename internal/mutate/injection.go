package mutate

import (
	"fmt"
	"slices"
	"sync"

	jsonpatch "gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/mutate/inject"
)

// injection is the lists of a Pod spec that something is injected into.
type injection struct {
	pod      *pod
	elements map[string]string // what was injected before, from the record
	inits    list[corev1.Container]
	volumes  list[corev1.Volume]
	mounts   []mountList     // of the main containers, then of the user's init containers
	rest     *corev1.PodSpec // without what was injected
}

// mountList is the mounts of one of the user's containers.
type mountList struct {
	container string
	list[corev1.VolumeMount]
}

// newInjection tells, by a record, what in a Pod spec was injected from what is the user's. Images
// are the references by which artifacts are asked for, and were before an update.
func newInjection(planner *inject.Planner, p *pod, elements map[string]string, images []string) *injection {
	amounts := sync.OnceValue(func() []corev1.ResourceRequirements { return planner.Amounts(&p.spec) })
	j := &injection{
		pod: p, elements: elements,
		inits: list[corev1.Container]{
			path: p.path + "/initContainers", stored: p.spec.InitContainers, raw: p.raw, hash: inject.HashContainer, front: true,
			key:     func(c *corev1.Container) string { return initKey(c.Name) },
			altered: func(c *corev1.Container, hash string) bool { return inject.Altered(c, hash, images, amounts()) },
			keeps: func(c *corev1.Container) []string {
				if inject.Sized(c, amounts()) {
					return []string{"resources"}
				}
				return nil
			},
		},
		volumes: list[corev1.Volume]{
			path: p.path + "/volumes", stored: p.spec.Volumes, raw: p.raw, hash: inject.HashVolume,
			key: func(v *corev1.Volume) string { return volumeKey(v.Name) },
		},
	}
	j.inits.claim(elements)
	j.volumes.claim(elements)
	for i := range p.spec.Containers {
		j.addMounts(p.path+"/containers", i, &p.spec.Containers[i])
	}
	for i := range p.spec.InitContainers {
		if !j.inits.ours[i] {
			j.addMounts(j.inits.path, i, &p.spec.InitContainers[i])
		}
	}
	j.rest = j.stripped()
	return j
}

func (j *injection) addMounts(path string, i int, c *corev1.Container) {
	m := mountList{container: c.Name, list: list[corev1.VolumeMount]{
		path: fmt.Sprintf("%s/%d/volumeMounts", path, i), stored: c.VolumeMounts, raw: j.pod.raw, hash: inject.HashMount,
		key: func(m *corev1.VolumeMount) string { return mountKey(c.Name, m.Name, m.MountPath) },
	}}
	m.claim(j.elements)
	j.mounts = append(j.mounts, m)
}

// stripped is the Pod spec without what was injected.
func (j *injection) stripped() *corev1.PodSpec {
	spec := j.pod.spec
	spec.InitContainers = j.inits.users()
	spec.Volumes = j.volumes.users()
	spec.Containers = slices.Clone(spec.Containers)
	for i := range j.mounts {
		rest := j.mounts[i].users()
		if i < len(spec.Containers) {
			spec.Containers[i].VolumeMounts = rest
		} else {
			spec.InitContainers[i-len(spec.Containers)].VolumeMounts = rest
		}
	}
	return &spec
}

// want says what is to be injected. Of what is not wanted any more, an init container stays that
// somebody gave variables, and a volume that one of the user's containers mounts: without it, the
// Pod would be refused.
func (j *injection) want(parts *inject.Parts) error {
	j.inits.want(parts.InitContainers)
	for i := range j.inits.stored {
		c := &j.inits.stored[i]
		if j.inits.ours[i] && j.inits.index(initKey(c.Name)) < 0 && len(c.Env)+len(c.EnvFrom) > 0 {
			j.inits.ours[i] = false
			j.rest.InitContainers = append(j.rest.InitContainers, *c)
		}
	}
	j.volumes.want(parts.Volumes)
	for _, wanted := range parts.Mounts {
		i := slices.IndexFunc(j.mounts, func(m mountList) bool { return m.container == wanted.Container })
		if i < 0 {
			return fmt.Errorf("mount artifact: no container %q", wanted.Container)
		}
		j.mounts[i].want(wanted.Mounts)
	}
	for i := range j.volumes.stored {
		v := &j.volumes.stored[i]
		if j.volumes.ours[i] && j.volumes.index(volumeKey(v.Name)) < 0 && mounted(j.rest, v.Name) {
			j.volumes.ours[i] = false
		}
	}
	return nil
}

func mounted(spec *corev1.PodSpec, volume string) bool {
	return slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume })
	})
}

// record is the hashes of what is wanted, by key.
func (j *injection) record() map[string]string {
	elements := make(map[string]string)
	j.inits.record(elements)
	j.volumes.record(elements)
	for i := range j.mounts {
		j.mounts[i].record(elements)
	}
	return elements
}

// changes are the keys of what is taken out, and of what was injected before, is not wanted any
// more, and stays because it is the user's now.
func (j *injection) changes() (removed, edited []string) {
	if len(j.elements) == 0 {
		return nil, nil // nothing was injected before
	}
	add := func(r, e []string) { removed, edited = append(removed, r...), append(edited, e...) }
	add(j.inits.changes(j.elements))
	add(j.volumes.changes(j.elements))
	for i := range j.mounts {
		add(j.mounts[i].changes(j.elements))
	}
	return removed, edited
}

// operations returns what injects and takes out: first within elements, by the indices that they
// have, then in the lists that hold them.
func (j *injection) operations() (within, around []jsonpatch.Operation, err error) {
	add := func(w, a []jsonpatch.Operation, e error) error {
		within, around = append(within, w...), append(around, a...)
		return e
	}
	for i := range j.mounts {
		w, a, err := j.mounts[i].operations()
		if err := add(slices.Concat(w, a), nil, err); err != nil {
			return nil, nil, err
		}
	}
	if err := add(j.inits.operations()); err != nil {
		return nil, nil, err
	}
	if err := add(j.volumes.operations()); err != nil {
		return nil, nil, err
	}
	return within, around, nil
}
