package inject

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/workload"
)

// build is an injection in the making.
type build struct {
	spec   *corev1.PodSpec
	inits  []initContainer
	shares []*share
}

// initContainer is an init container for an artifact.
type initContainer struct {
	artifact  *artifact
	container corev1.Container
}

// share is a volume that a server reads, and its mount there. The first of its artifacts names it,
// and answers for what is in its way.
type share struct {
	artifacts []*artifact
	volume    corev1.Volume
	mount     corev1.VolumeMount
}

// share returns the volume for an artifact. Artifacts that hide the same folder of the same server
// share one; it is read-only if all of them may be, and as large as all of them.
func (b *build) share(a *artifact) (*share, *Problem) {
	for _, s := range b.shares {
		first := s.artifacts[0]
		if first.server != a.server {
			continue
		}
		if first.Path == a.Path {
			if problem := s.join(a); problem != nil {
				return nil, problem
			}
			return s, nil
		}
		if within(first.Path, a.Path) || within(a.Path, first.Path) {
			return nil, newProblem(PathMounted, "%s is to be mounted at %s of container %q, in the way of this one at %s; choose another profile with %s",
				annotation(workload.ArtifactAnnotation, &first.Asked), first.Path, a.Container, a.Path, annotation(workload.ProfileAnnotation, &a.Asked))
		}
	}
	name := name(&a.Asked)
	s := &share{
		artifacts: []*artifact{a},
		volume:    corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		mount:     corev1.VolumeMount{Name: name, MountPath: a.Path, ReadOnly: a.profile.ReadOnly},
	}
	if limit := a.profile.Init.SizeLimit; limit != nil {
		s.volume.EmptyDir.SizeLimit = new(limit.DeepCopy())
	}
	if !a.profile.HideTarget {
		s.mount.SubPath = file(a.profile)
	}
	b.shares = append(b.shares, s)
	return s, nil
}

// join adds an artifact to a volume. What is in folders is not known: only the names of files can
// be compared.
func (s *share) join(a *artifact) *Problem {
	mine := file(a.profile)
	for _, other := range s.artifacts {
		hidden := other.profile.HideTarget && a.profile.HideTarget
		if !hidden || mine != "" && mine == file(other.profile) {
			return newProblem(FileTaken, "%s is copied to %s of container %q, too; choose another profile with %s, or ask for one of them only",
				annotation(workload.ArtifactAnnotation, &other.Asked), path.Join(a.profile.Target, mine), a.Container, annotation(workload.ProfileAnnotation, &a.Asked))
		}
	}
	s.artifacts = append(s.artifacts, a)
	s.mount.ReadOnly = s.mount.ReadOnly && a.profile.ReadOnly
	if limit := a.profile.Init.SizeLimit; limit == nil {
		s.volume.EmptyDir.SizeLimit = nil
	} else if sum := s.volume.EmptyDir.SizeLimit; sum != nil {
		sum.Add(*limit)
	}
	return nil
}

// check finds what is in the way in the Pod, and tells the artifacts that it concerns.
func (b *build) check() {
	for i := range b.inits {
		b.inits[i].artifact.fail(b.checkInit(&b.inits[i]))
	}
	for _, s := range b.shares {
		s.artifacts[0].fail(b.checkVolume(s))
		s.artifacts[0].fail(checkMount(s))
	}
}

func (b *build) checkInit(c *initContainer) *Problem {
	name := c.container.Name
	for i := range b.spec.InitContainers {
		there := &b.spec.InitContainers[i]
		if there.Name != name || HashContainer(there) == HashContainer(&c.container) {
			continue
		}
		key := annotation(workload.ArtifactAnnotation, &c.artifact.Asked)
		if there.Image != c.container.Image && parseImage(there.Image).repository == parseImage(c.container.Image).repository {
			return newProblem(NameTaken, "init container %q and %s disagree: %s and %s; change the annotation only, and take the init container out of the manifest if it is in it",
				name, key, there.Image, c.container.Image)
		}
		return newProblem(NameTaken, "init container %q is not what would be injected for %s; take it out of the manifest or rename it, or take back what was changed in it", name, key)
	}
	taken := slices.ContainsFunc(b.spec.Containers, func(there corev1.Container) bool { return there.Name == name }) ||
		slices.ContainsFunc(b.spec.EphemeralContainers, func(there corev1.EphemeralContainer) bool { return there.Name == name })
	if taken {
		return newProblem(NameTaken, "container %q has the name of the init container that would be injected; rename it, or ask with %s.<another name>", name, workload.ArtifactAnnotation)
	}
	return nil
}

func (b *build) checkVolume(s *share) *Problem {
	for i := range b.spec.Volumes {
		if there := &b.spec.Volumes[i]; there.Name == s.volume.Name && HashVolume(there) != HashVolume(&s.volume) {
			return newProblem(NameTaken, "volume %q is not the one that would be injected; rename it, or ask with %s.<another name>", there.Name, workload.ArtifactAnnotation)
		}
	}
	return nil
}

// checkMount compares a mount with those that the server has. One above ours is not in the way:
// container runtimes mount outer folders first. One at the folder that the server reads is, and so
// is one in it: it would hide a file of the artifact's, or leave a folder in the artifact's volume
// in which a server may see an application that is unpacked already.
func checkMount(s *share) *Problem {
	a := s.artifacts[0]
	inTheWay := func(volume, at string) *Problem {
		at = clean(at)
		if at != clean(a.profile.Target) && !within(at, s.mount.MountPath) {
			return nil
		}
		return newProblem(PathMounted, "container %q mounts volume %q at %s, in the way of the artifact at %s; take that mount out of the manifest, or mount it elsewhere",
			a.Container, volume, at, s.mount.MountPath)
	}
	for i := range a.server.VolumeMounts {
		there := &a.server.VolumeMounts[i]
		if problem := inTheWay(there.Name, there.MountPath); problem != nil && HashMount(there) != HashMount(&s.mount) {
			return problem
		}
	}
	for _, device := range a.server.VolumeDevices {
		if problem := inTheWay(device.Name, device.DevicePath); problem != nil {
			return problem
		}
	}
	return nil
}

// within reports whether a path is a folder or in it.
func within(child, folder string) bool {
	child, folder = clean(child), clean(folder)
	return child == folder || strings.HasPrefix(child, strings.TrimSuffix(folder, "/")+"/")
}

// clean is a path as the kubelet understands it: relative ones start at the root. Windows' are
// written as the others.
func clean(p string) string {
	if strings.Contains(p, `\`) {
		p = strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(p, `\`, "/")), "c:")
	}
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return path.Clean(p)
}

// parts are what was built, the mounts in the order of the containers.
func (b *build) parts(all []server) Parts {
	var parts Parts
	for i := range b.inits {
		parts.InitContainers = append(parts.InitContainers, b.inits[i].container)
	}
	for _, s := range b.shares {
		parts.Volumes = append(parts.Volumes, s.volume)
	}
	for _, server := range all {
		var mounts []corev1.VolumeMount
		for _, s := range b.shares {
			if s.artifacts[0].server == server.container {
				mounts = append(mounts, s.mount)
			}
		}
		if mounts != nil {
			parts.Mounts = append(parts.Mounts, Mounts{Container: server.container.Name, Mounts: mounts})
		}
	}
	return parts
}
