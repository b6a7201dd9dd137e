package workload

import (
	"slices"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/redact"
)

const (
	// largestExtract bounds an extract, in bytes of JSON: a record is to stay below 32 KiB, with its
	// findings and what the API server adds, so that 10,000 of them fit into etcd beside a cluster.
	largestExtract = 16 << 10
	// largestCommand bounds the words of one container's command and arguments in it, in bytes of
	// JSON, so that one script does not take the place of everything else.
	largestCommand = 4 << 10
	// mostRead bounds how much of all commands is looked at, in bytes: about 5 ms of work.
	mostRead = 64 << 10
)

// extracted are the labels that say what something is. No other is taken: labels are anybody's.
var extracted = []string{
	"app.kubernetes.io/component", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/name",
	"app.kubernetes.io/part-of", VersionLabelKey, "helm.sh/chart",
}

// Extract is what rules read of an object, for a record: an allow-list, without secrets as far as
// they can be known (internal/redact), and bounded. What is most telling comes first into the
// bound: images, then volumes, then commands and mounts. It is the same for each try of one thing:
// the platform's own volumes, whose names are generated, are left out. The object is the one that
// was read.
func (w *Workload) Extract(o *Object) auditv1alpha1.Manifest {
	e := extract{left: largestExtract, read: mostRead}
	e.labels(o)
	for i := range w.containers {
		if !e.container(&w.containers[i]) {
			e.manifest.Omitted += len(w.containers) - i
			break
		}
	}
	for _, v := range w.listed {
		if v.class != ClassPlatform {
			e.volume(v)
		}
	}
	for i := range e.manifest.Containers {
		e.run(&e.manifest.Containers[i], &w.containers[i])
		e.mounts(&e.manifest.Containers[i], &w.containers[i])
	}
	return e.manifest
}

// extract is an extract that is being made.
type extract struct {
	manifest auditv1alpha1.Manifest
	left     int // bytes of JSON that there is room for
	read     int // bytes of commands that may still be looked at
}

// The bytes of JSON of each member beside its texts: names, quotes and punctuation.
const (
	aroundLabel     = len(`"":"",`)
	aroundContainer = len(`{"name":"","role":"ephemeral","image":"","command":[],"args":[],"workingDir":"","mounts":[]},`)
	aroundVolume    = len(`{"name":"","class":"declared","source":""},`)
	aroundMount     = len(`{"volume":"","path":"","subPath":"","readOnly":true},`)
	aroundWord      = len(`"",`)
)

// take takes room for texts if there is enough.
func (e *extract) take(around int, texts ...string) bool {
	for _, text := range texts {
		around += redact.Size(text)
	}
	if around > e.left {
		return false
	}
	e.left -= around
	return true
}

func (e *extract) labels(o *Object) {
	for _, key := range extracted {
		value, ok := o.TemplateLabels()[key]
		if !ok {
			value, ok = o.Labels()[key]
		}
		if !ok {
			continue
		}
		value = redact.Text(value)
		e.take(aroundLabel, key, value) // seven labels have room
		if e.manifest.Labels == nil {
			e.manifest.Labels = make(map[string]string, len(extracted))
		}
		e.manifest.Labels[key] = value
	}
}

func (e *extract) container(c *containerFacts) bool {
	name, image, dir := redact.Text(c.Name), referenceText(c.Image, &c.image), redact.Text(c.WorkingDir)
	if !e.take(aroundContainer, name, image, dir) {
		return false
	}
	e.manifest.Containers = append(e.manifest.Containers, auditv1alpha1.Container{Name: name, Role: c.role, Image: image, WorkingDir: dir})
	return true
}

func (e *extract) volume(v *volumeFacts) {
	if e.left < aroundVolume {
		e.manifest.Omitted++
		return
	}
	name, source := redact.Text(v.name), redact.Text(v.source)
	if v.class == ClassImage {
		image := parseImage(v.image)
		source = v.kind + " " + referenceText(v.image, &image)
	}
	class := v.class
	if slices.ContainsFunc(v.mounts, func(m mountOf) bool { return m.mount.class == ClassFilled }) {
		class = ClassFilled
	}
	if !e.take(aroundVolume, name, source) {
		e.manifest.Omitted++
		return
	}
	e.manifest.Volumes = append(e.manifest.Volumes, auditv1alpha1.Volume{Name: name, Class: class, Source: source})
}

// referenceText is an image reference as written, but for tokens. What is none may hold anything.
func referenceText(value string, name *ImageName) string {
	if name.Error != "" {
		return redact.Text(value)
	}
	return redact.Reference(value)
}

// run adds what a container runs. Its words are looked at together: an option can be in the command,
// and its value in the arguments. Behind the first word that has no room, none is taken.
func (e *extract) run(to *auditv1alpha1.Container, c *containerFacts) {
	program := ""
	if len(c.Command) == 0 {
		program = c.image.Name
	}
	command := redact.NewCommand(program)
	room := min(e.left, largestCommand)
	others := e.left - room
	e.left = room
	argv := slices.Concat(c.Command, c.Args)
	for i, word := range argv {
		shown := ""
		if e.read -= min(len(word), redact.LongestScript); e.read >= 0 {
			shown = command.Word(word)
		}
		if e.read < 0 || !e.take(aroundWord, shown) {
			e.manifest.Omitted += len(argv) - i
			break
		}
		if i < len(c.Command) {
			to.Command = append(to.Command, shown)
		} else {
			to.Args = append(to.Args, shown)
		}
	}
	e.left += others
}

func (e *extract) mounts(to *auditv1alpha1.Container, c *containerFacts) {
	for i := range c.mounts {
		m := &c.mounts[i]
		if m.class == ClassPlatform {
			continue
		}
		if e.left < aroundMount {
			e.manifest.Omitted++
			continue
		}
		mount := auditv1alpha1.Mount{
			Volume: redact.Text(m.volume.name), Path: redact.Text(m.path), SubPath: redact.Text(m.subPath), ReadOnly: m.readOnly,
		}
		if !e.take(aroundMount, mount.Volume, mount.Path, mount.SubPath) {
			e.manifest.Omitted++
			continue
		}
		to.Mounts = append(to.Mounts, mount)
	}
}
