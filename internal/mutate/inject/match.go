package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// longestReference is the longest value that is parsed as an image reference, in bytes: as in
// internal/workload, which says why.
const longestReference = 1024

// image is what the reference of a container says about its repository.
type image struct {
	repository string // with the registry: docker.io/library/tomcat; empty if it is no reference
	short      string // as people write it: tomcat
	name       string // the last element
}

func parseImage(value string) image {
	if len(value) <= longestReference {
		if named, err := reference.ParseNormalizedNamed(value); err == nil {
			full := named.Name()
			return image{repository: full, short: reference.FamiliarName(named), name: full[strings.LastIndexByte(full, '/')+1:]}
		}
	}
	return image{short: quote(value)}
}

// server is a container that may read an artifact.
type server struct {
	container *corev1.Container
	image     image
}

// String says the container for people.
func (s server) String() string {
	return fmt.Sprintf("%s (%s)", quote(s.container.Name), s.image.short)
}

// servers are the containers of a Pod that stay: native sidecars and main containers, in the order
// of the Pod spec. What ends before the others start serves nothing.
func servers(spec *corev1.PodSpec) []server {
	var all []server
	for i := range spec.InitContainers {
		if c := &spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, server{c, parseImage(c.Image)})
		}
	}
	for i := range spec.Containers {
		all = append(all, server{&spec.Containers[i], parseImage(spec.Containers[i].Image)})
	}
	return all
}

func say(all []server) string { return cmp.Or(list(all, server.String), "none") }

// match finds the profile and the container for an artifact. What an annotation names is taken, the
// rest follows from it: a profile that is named need not be for this artifact, and together with
// a container not for that container either.
func (p *Planner) match(all []server, a *workload.Asked) (*v1alpha1.Profile, *corev1.Container, *Problem) {
	some := all
	if a.Container != "" {
		i := slices.IndexFunc(all, func(s server) bool { return s.container.Name == a.Container })
		if i < 0 {
			return nil, nil, unknownContainer(all, a)
		}
		some = all[i : i+1]
	}
	if a.Profile != "" {
		i := slices.IndexFunc(p.options.Profiles, func(profile v1alpha1.Profile) bool { return profile.Name == a.Profile })
		if i < 0 {
			return nil, nil, p.unknownProfile(a)
		}
		profile := &p.options.Profiles[i]
		if a.Container != "" {
			return profile, some[0].container, nil
		}
		return one(profile, p.of(profile, some), all, a)
	}
	for i := range p.options.Profiles {
		profile := &p.options.Profiles[i]
		if matching := p.of(profile, some); len(matching) > 0 && forArtifact(profile, a) {
			return one(profile, matching, all, a)
		}
	}
	return nil, nil, p.noProfile(some, a)
}

// one returns the container that a profile matches, if it is one.
func one(profile *v1alpha1.Profile, matching, all []server, a *workload.Asked) (*v1alpha1.Profile, *corev1.Container, *Problem) {
	switch len(matching) {
	case 0:
		return nil, nil, newProblem(NoProfile, "profile %q matches no container of the Pod, which has %s; name the container with %s, or correct %s",
			profile.Name, say(all), annotation(workload.ContainerAnnotation, a), annotation(workload.ProfileAnnotation, a))
	case 1:
		return profile, matching[0].container, nil
	default:
		return nil, nil, newProblem(AmbiguousServer, "profile %q matches several containers, %s; name one of them with %s",
			profile.Name, say(matching), annotation(workload.ContainerAnnotation, a))
	}
}

// of returns the containers that a profile is for.
func (p *Planner) of(profile *v1alpha1.Profile, all []server) []server {
	var matching []server
	for _, s := range all {
		if slices.Contains(profile.Match.Servers, p.options.Servers[s.image.name]) || listed(profile.Match.Images, s.image.repository) {
			matching = append(matching, s)
		}
	}
	return matching
}

func forArtifact(profile *v1alpha1.Profile, a *workload.Asked) bool {
	return len(profile.Match.Artifacts) == 0 || listed(profile.Match.Artifacts, a.Image.Registry+"/"+a.Image.Repository)
}

// listed reports whether a repository, written with its registry, is one of a list, in which
// "geektime/tomcat" stands for that repository of every registry.
func listed(entries []string, repository string) bool {
	return slices.ContainsFunc(entries, func(entry string) bool {
		return repository == entry || strings.HasSuffix(repository, "/"+entry)
	})
}

func unknownContainer(all []server, a *workload.Asked) *Problem {
	return newProblem(UnknownContainer, "the Pod has no main container and no native sidecar %s; it has %s; correct %s",
		quote(a.Container), say(all), annotation(workload.ContainerAnnotation, a))
}

func (p *Planner) unknownProfile(a *workload.Asked) *Problem {
	if len(p.options.Profiles) == 0 {
		return newProblem(UnknownProfile, "there is no profile %s: the configuration has no profiles; ask the platform team for one", quote(a.Profile))
	}
	return newProblem(UnknownProfile, "there is no profile %s; configured are %s; correct %s",
		quote(a.Profile), p.names(), annotation(workload.ProfileAnnotation, a))
}

func (p *Planner) noProfile(some []server, a *workload.Asked) *Problem {
	containers := "container " + say(some)
	if len(some) != 1 {
		containers = "any container of the Pod, which has " + say(some)
	}
	if len(p.options.Profiles) == 0 {
		return newProblem(NoProfile, "no profile matches %s: the configuration has no profiles; ask the platform team for one", containers)
	}
	for i := range p.options.Profiles {
		profile := &p.options.Profiles[i]
		if matching := p.of(profile, some); len(matching) > 0 {
			return newProblem(NoProfile, "profile %q matches container %s, but not artifact %s; ask the platform team for one that does, or name it with %s",
				profile.Name, matching[0], parseImage(a.Value).short, annotation(workload.ProfileAnnotation, a))
		}
	}
	return newProblem(NoProfile, "no profile matches %s; configured are %s; ask the platform team for one, or name one with %s",
		containers, p.names(), annotation(workload.ProfileAnnotation, a))
}

func (p *Planner) names() string {
	return list(p.options.Profiles, func(profile v1alpha1.Profile) string { return quote(profile.Name) })
}
