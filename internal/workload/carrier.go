package workload

import "slices"

// Artifact is an artifact that the template asks for by an annotation.
type Artifact struct {
	// Field is the field path of the annotation.
	Field string `json:"field" jsonschema:"the field path of the annotation"`
	// Value is the reference as written.
	Value string `json:"value" jsonschema:"the reference as written"`

	ImageName

	// Container names the container that is to read it; empty if that cannot be told.
	Container string `json:"container" jsonschema:"the container that is to read it, empty if that cannot be told"`
	// Target is the path of the mount where it is to be read; empty if that cannot be told.
	Target string `json:"target" jsonschema:"the path of the mount in that container, empty if that cannot be told"`
	// Problem says why it cannot be injected; empty if it can be.
	Problem string `json:"problem" jsonschema:"why it cannot be injected, empty if it can be"`
	// Carriers are what can bring files to Container, or to any container if that is empty.
	Carriers []Carrier `json:"carriers" jsonschema:"the containers and image volumes that can bring files to container; without one, to any container that runs"`
}

// Carrier is a container, or an image volume, that can bring files to another container: it can
// write a volume that the other one mounts.
type Carrier struct {
	// Container names the container that writes; empty for an image volume.
	Container string `json:"container" jsonschema:"the container that can write the volume, empty for an image volume"`
	// Role is the container's role, or "volume".
	Role string `json:"role" jsonschema:"init, sidecar, main, ephemeral or volume"`
	// Field is the field path of the image reference, Value the reference as written.
	Field string `json:"field" jsonschema:"the field path of its image"`
	Value string `json:"value" jsonschema:"its image as written"`

	ImageName

	// Consumer names the container that mounts the volume, at Path.
	Consumer string `json:"consumer" jsonschema:"the container that mounts the volume"`
	Path     string `json:"path" jsonschema:"the path of that mount"`
	// Before says that the carrier has ended, or at least started, before Consumer starts.
	Before bool `json:"before" jsonschema:"whether it has ended, or as a native sidecar started, before consumer starts"`
}

// Destination is where an asked artifact is to be read.
type Destination struct {
	// Asked is the artifact.
	Asked Asked
	// Container and Path are the container that reads it and the path of its mount there; empty
	// where they cannot be told.
	Container, Path string
	// Problem says why the artifact cannot be injected, empty if it can be.
	Problem string
}

// AddArtifacts adds the facts about artifacts that are asked for. It needs every fact of the
// workload's containers, whatever groups were asked for.
func (w *Workload) AddArtifacts(destinations []Destination) {
	shared := w.sharing()
	carriers := make(map[string][]Carrier) // many artifacts are for one container
	for i := range destinations {
		d := &destinations[i]
		found, ok := carriers[d.Container]
		if !ok {
			found = shared.carriers(d.Container)
			carriers[d.Container] = found
		}
		w.Artifacts = append(w.Artifacts, Artifact{
			Field: d.Asked.Field, Value: d.Asked.Value, ImageName: d.Asked.Image,
			Container: d.Container, Target: d.Path, Problem: d.Problem, Carriers: found,
		})
	}
}

// sharing says which containers, by index, can write a volume, and which of those that run (main
// containers and native sidecars) mount it and where; both in the order of the Pod spec.
type sharing struct {
	containers []containerFacts
	writers    map[*volumeFacts][]int
	readers    map[*volumeFacts][]consumer
}

type consumer struct {
	container int
	path      string
}

func (w *Workload) sharing() *sharing {
	s := &sharing{containers: w.containers, writers: make(map[*volumeFacts][]int), readers: make(map[*volumeFacts][]consumer)}
	for i := range w.containers {
		c := &w.containers[i]
		for j := range c.mounts {
			m := &c.mounts[j]
			v := m.volume
			if list := s.writers[v]; m.writable() && (len(list) == 0 || list[len(list)-1] != i) {
				s.writers[v] = append(list, i)
			}
			if list := s.readers[v]; c.runs() && (len(list) == 0 || list[len(list)-1].container != i) {
				s.readers[v] = append(list, consumer{i, m.path})
			}
		}
	}
	return s
}

// runs reports whether the container makes up the running Pod.
func (c *containerFacts) runs() bool { return c.role == RoleMain || c.role == RoleSidecar }

// writable reports whether a container can write a volume by this mount.
func (m *mountFacts) writable() bool {
	return !m.readOnly && m.class != ClassImage && m.class != ClassConfig && m.class != ClassPlatform
}

// carriers are what can bring files to a container: one for each pair of a mount of the container
// and a writer of its volume. Without a name there is one for each writer, with one container that
// runs; with one that starts after the writer, if there is such a container.
func (s *sharing) carriers(name string) []Carrier {
	if name == "" {
		return s.carriersToAny()
	}
	reader := slices.IndexFunc(s.containers, func(c containerFacts) bool { return c.Name == name })
	if reader < 0 {
		return nil
	}
	var found []Carrier
	for i := range s.containers[reader].mounts {
		m := &s.containers[reader].mounts[i]
		to := consumer{reader, m.path}
		if m.class == ClassImage {
			found = append(found, s.imageVolume(m.volume, to))
		}
		for _, writer := range s.writers[m.volume] {
			if writer != reader {
				found = append(found, s.carrier(writer, to))
			}
		}
	}
	return found
}

func (s *sharing) carriersToAny() []Carrier {
	var found []Carrier
	images := make(map[*volumeFacts]bool)
	for i := range s.containers {
		if best, ok := s.carrierToAny(i); ok {
			found = append(found, best)
		}
		for j := range s.containers[i].mounts {
			m := &s.containers[i].mounts[j]
			if m.class == ClassImage && s.containers[i].runs() && !images[m.volume] {
				images[m.volume] = true
				found = append(found, s.imageVolume(m.volume, consumer{i, m.path}))
			}
		}
	}
	return found
}

// carrierToAny is a container as the carrier to the last other one that runs and mounts one of its
// volumes: if it starts before any of them, then before the last.
func (s *sharing) carrierToAny(writer int) (best Carrier, ok bool) {
	for i := range s.containers[writer].mounts {
		m := &s.containers[writer].mounts[i]
		if !m.writable() {
			continue
		}
		for _, to := range slices.Backward(s.readers[m.volume]) {
			if to.container == writer {
				continue
			}
			if c := s.carrier(writer, to); !ok || c.Before {
				best, ok = c, true
			}
			break
		}
		if best.Before {
			break
		}
	}
	return best, ok
}

func (s *sharing) carrier(writer int, to consumer) Carrier {
	c, reader := &s.containers[writer], &s.containers[to.container]
	return Carrier{
		Container: c.Name, Role: c.role, Field: c.field + ".image", Value: c.Image, ImageName: c.image, Consumer: reader.Name, Path: to.path,
		Before: (c.role == RoleInit || c.role == RoleSidecar) && writer < to.container,
	}
}

func (s *sharing) imageVolume(v *volumeFacts, to consumer) Carrier {
	return Carrier{
		Role: RoleVolume, Field: v.imageField, Value: v.image, ImageName: parseImage(v.image),
		Consumer: s.containers[to.container].Name, Path: to.path, Before: true,
	}
}
