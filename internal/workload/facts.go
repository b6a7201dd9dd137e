package workload

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"plainspec.dev/plainspec/internal/kinds"
)

// VersionLabelKey is the label that states a workload's version.
const VersionLabelKey = "app.kubernetes.io/version"

// Groups says which groups of facts are wanted: making one costs time, so the server asks only
// for what the loaded policies read. The zero value wants none.
type Groups struct {
	Untagged, Tagged, Exact, Pinned, Invalid, All              bool // of images
	Image, Declared, Filled, Opaque, Config, Platform, Scratch bool // of mounts
	Known, Labels                                              bool
	Artifacts                                                  bool // made by AddArtifacts, not by Read
	// Index says which opaque volumes the policies know (see Mounts.Known).
	Index Index
}

// AllGroups wants every fact.
func AllGroups() Groups {
	return Groups{
		true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, Index{},
	}
}

func (g *Groups) class(class string) bool {
	switch class {
	case ClassImage:
		return g.Image
	case ClassDeclared:
		return g.Declared
	case ClassFilled:
		return g.Filled
	case ClassOpaque:
		return g.Opaque
	case ClassConfig:
		return g.Config
	case ClassPlatform:
		return g.Platform
	default:
		return g.Scratch
	}
}

// Reader turns objects into facts. It is safe for concurrent use.
type Reader struct{ images *imageParser }

// NewReader returns a Reader with an empty cache of parsed image references.
func NewReader() *Reader { return &Reader{images: newImageParser()} }

// containerFacts is one container with what was read off it.
type containerFacts struct {
	*container

	role     string
	field    string
	image    ImageName
	mounts   []mountFacts
	byPath   map[string]*mountFacts // the mounts by their path
	budget   *int                   // of script, shared by the object's containers
	commands *commandFacts          // nil until needed
	programs []*volumeFacts         // volumes that programs run from, at most two; read with commands
}

type mountFacts struct {
	volume   *volumeFacts
	path     string
	field    string
	subPath  string
	readOnly bool
	class    string
	// references are the container's words at or below path; they are joined with the words.
	references []Reference
}

// words reads the container's commands, once, and hands each word to the mount that holds it.
func (c *containerFacts) words() *commandFacts {
	if c.commands != nil {
		return c.commands
	}
	facts := readCommands(c.container, c.field, c.budget)
	c.commands = &facts
	for i := range facts.words {
		w := &facts.words[i]
		if m := c.mountOf(w.path); m != nil {
			program := w.kind == ReferenceCommand && (w.position == 0 || w.position == 1 && shells[w.verb])
			if program && len(c.programs) < 2 && !slices.Contains(c.programs, m.volume) {
				c.programs = append(c.programs, m.volume)
			}
			m.references = append(m.references, Reference{
				Kind: w.kind, Field: w.field, Path: w.path, Verb: w.verb, Flag: w.flag, Position: w.position, Write: w.write,
			})
		}
	}
	return c.commands
}

// Read turns an object into facts.
func (r *Reader) Read(o *Object, want Groups) *Workload {
	template := o.template()
	specField := o.kind.Template.SpecPath()
	w := &Workload{Kind: o.kind.Name, Group: o.kind.Groups[0]}
	volumes := r.volumes(o, &template.Spec, specField)
	w.listed = volumes
	w.volumes = make(map[string]*volumeFacts, len(volumes))
	for _, v := range volumes {
		w.volumes[v.name] = v
	}
	w.containers = r.containers(&template.Spec, specField, w.volumes)
	for i := range w.containers {
		c := &w.containers[i]
		for j := range c.mounts {
			v := c.mounts[j].volume
			v.mounts = append(v.mounts, mountOf{c, &c.mounts[j]})
		}
	}
	classify(w.containers)
	for i := range w.containers {
		c := &w.containers[i]
		w.addImage(Image{Container: c.Name, Role: c.role, Field: c.field + ".image", Value: c.Image, ImageName: c.image}, &want)
		w.addMounts(c, &want)
	}
	for _, v := range volumes {
		if v.class == ClassImage {
			w.addImage(Image{Volume: v.name, Role: RoleVolume, Field: v.imageField, Value: v.image, ImageName: r.images.parse(v.image)}, &want)
		}
	}
	if want.Labels {
		w.addLabels(o, &template)
	}
	return w
}

// volumes reads the volumes of a template and, of a StatefulSet, its claim templates.
func (r *Reader) volumes(o *Object, spec *podSpec, field string) []*volumeFacts {
	volumes := make([]*volumeFacts, 0, len(spec.Volumes)+len(o.raw.Spec.VolumeClaimTemplates))
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		facts := readVolume(v, field+".volumes["+strconv.Itoa(i)+"]", r.images)
		volumes = append(volumes, &facts)
	}
	for i := range o.raw.Spec.VolumeClaimTemplates {
		name := o.raw.Spec.VolumeClaimTemplates[i].Metadata.Name
		volumes = append(volumes, &volumeFacts{
			name: name, kind: claimTemplate, target: name, source: claimTemplate + " " + name, class: ClassOpaque,
		})
	}
	return volumes
}

func (r *Reader) containers(spec *podSpec, field string, volumes map[string]*volumeFacts) []containerFacts {
	budget := allScripts
	all := make([]containerFacts, 0, len(spec.InitContainers)+len(spec.Containers)+len(spec.EphemeralContainers))
	add := func(list []container, name, role string) {
		for i := range list {
			c := containerFacts{container: &list[i], role: role, field: field + "." + name + "[" + strconv.Itoa(i) + "]", budget: &budget}
			if role == RoleInit && c.RestartPolicy == "Always" {
				c.role = RoleSidecar
			}
			c.image = r.images.parse(c.Image)
			c.join(volumes)
			all = append(all, c)
		}
	}
	add(spec.InitContainers, "initContainers", RoleInit)
	add(spec.Containers, "containers", RoleMain)
	add(spec.EphemeralContainers, "ephemeralContainers", RoleEphemeral)
	return all
}

// join joins a container's mounts with their volumes. A mount without its volume is left out: the
// API server refuses it.
func (c *containerFacts) join(volumes map[string]*volumeFacts) {
	if len(c.VolumeMounts) == 0 {
		return
	}
	c.mounts = make([]mountFacts, 0, len(c.VolumeMounts))
	c.byPath = make(map[string]*mountFacts, len(c.VolumeMounts))
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		v, ok := volumes[m.Name]
		if !ok {
			continue
		}
		c.mounts = append(c.mounts, mountFacts{
			volume: v, path: path.Clean("/" + m.MountPath), subPath: m.SubPath, readOnly: m.ReadOnly, class: v.class,
			field: c.field + ".volumeMounts[" + strconv.Itoa(i) + "]",
		})
		joined := &c.mounts[len(c.mounts)-1]
		c.byPath[joined.path] = joined
		if m.ReadOnly {
			continue
		}
		if v.writer == nil {
			v.writer = c.container
		}
		v.shared = v.shared || v.writer != c.container
	}
}

// classify tells filled emptyDirs from scratch ones: filled is what another container can write,
// or what the container itself may write before its program starts.
func classify(containers []containerFacts) {
	for i := range containers {
		c := &containers[i]
		for j := range c.mounts {
			m := &c.mounts[j]
			if m.class == ClassScratch && (m.volume.writableByOther(c.container) || c.mayFill(m)) {
				m.class = ClassFilled
			}
		}
	}
}

// writableByOther reports whether a container other than this one can write a volume.
func (v *volumeFacts) writableByOther(other *container) bool {
	return v.shared || v.writer != nil && v.writer != other
}

const (
	// startFolder starts the paths of folders whose files images run before their own program: a
	// convention of Docker's official images.
	startFolder = "/docker-entrypoint"
	// mostMounts bounds how many mounts of a container are compared with each other. A container
	// with more counts as one that may fill its emptyDirs.
	mostMounts = 100
)

// mayFill reports whether a container may itself put something into its emptyDir before its
// program needs it: by its command, by a program on another volume, which cannot be read here, or
// because something else is mounted inside.
func (c *containerFacts) mayFill(m *mountFacts) bool {
	if c.words().writes || len(c.mounts) > mostMounts || slices.ContainsFunc(c.programs, func(v *volumeFacts) bool { return v != m.volume }) {
		return true
	}
	for i := range c.mounts {
		other := &c.mounts[i]
		if other.volume != m.volume && (strings.HasPrefix(other.path, startFolder) || within(other.path, m.path)) {
			return true
		}
	}
	return false
}

func (w *Workload) addImage(image Image, want *Groups) {
	group, wanted := &w.Images.Untagged, want.Untagged
	switch {
	case image.Error != "":
		group, wanted = &w.Images.Invalid, want.Invalid
	case image.Digest != "":
		group, wanted = &w.Images.Pinned, want.Pinned
	case image.Precision == PrecisionExact && len(image.Words) == 1:
		group, wanted = &w.Images.Exact, want.Exact
	case image.Tag != "":
		group, wanted = &w.Images.Tagged, want.Tagged
	}
	if wanted {
		*group = append(*group, image)
	}
	if want.All {
		w.Images.All = append(w.Images.All, image)
	}
}

func (w *Workload) addMounts(c *containerFacts, want *Groups) {
	for i := range c.mounts {
		m := &c.mounts[i]
		if want.class(m.class) {
			group := w.Mounts.group(m.class)
			*group = append(*group, c.mount(m))
		}
		if want.Known && m.class == ClassOpaque && m.volume.known(&want.Index) {
			w.Mounts.Known = append(w.Mounts.Known, c.mount(m))
		}
	}
}

func (m *Mounts) group(class string) *[]Mount {
	switch class {
	case ClassImage:
		return &m.Image
	case ClassDeclared:
		return &m.Declared
	case ClassFilled:
		return &m.Filled
	case ClassOpaque:
		return &m.Opaque
	case ClassConfig:
		return &m.Config
	case ClassPlatform:
		return &m.Platform
	default:
		return &m.Scratch
	}
}

// mount is the fact of one mount, with the references to what is at or below it.
func (c *containerFacts) mount(m *mountFacts) Mount {
	c.words()
	fact := Mount{
		Container: c.Name, Role: c.role, Image: c.image.Name, Repository: c.image.Repository, Path: m.path, Field: m.field, Volume: m.volume.name, Type: m.volume.kind,
		Source: m.volume.source, Target: m.volume.target, SubPath: m.subPath, ReadOnly: m.readOnly, Declarations: m.volume.declarations,
		References: m.references,
	}
	if m.path != "/" && len(m.path) <= longestPath {
		fact.splitPath()
	}
	return fact
}

// splitPath sets what is read off Path.
func (fact *Mount) splitPath() {
	fact.Segments = strings.Split(fact.Path[1:], "/")
	fact.Words = words(fact.Path, isSeparator)
	fact.Ending = ending(fact.Path)
	for above := parent(fact.Path); above != "/"; above = parent(above) {
		fact.Above = append(fact.Above, above)
	}
}

// ending is what follows the last dot of a path's last element, in lower case.
func ending(p string) string { return strings.ToLower(strings.TrimPrefix(path.Ext(p), ".")) }

// within reports whether a clean absolute path is at or below a folder.
func within(p, folder string) bool {
	return folder == "/" || strings.HasPrefix(p, folder) && (len(p) == len(folder) || p[len(folder)] == '/')
}

// words are the words of a text in lower case.
func words(text string, separator func(rune) bool) []string {
	return strings.FieldsFunc(strings.ToLower(text), separator)
}

// isSeparator tells what separates the words of paths and names.
func isSeparator(r rune) bool { return r == '/' || r == '-' || r == '_' || r == '.' }

// isTagSeparator tells what separates the words of tags, whose dots belong to versions.
func isTagSeparator(r rune) bool { return r == '-' || r == '_' || r == '+' }

// mountOf returns the mount that holds a path: the deepest one at or above it, nil if none does.
func (c *containerFacts) mountOf(p string) *mountFacts {
	if len(c.byPath) == 0 || p == "" {
		return nil
	}
	for {
		if m := c.byPath[p]; m != nil || p == "/" {
			return m
		}
		p = parent(p)
	}
}

// parent is the folder of a clean absolute path. Unlike path.Dir it does not clean the path again:
// going up a path of thousands of elements would take the square of its length.
func parent(p string) string { return p[:max(strings.LastIndexByte(p, '/'), 1)] }

func (w *Workload) addLabels(o *Object, template *podTemplate) {
	if value, ok := o.raw.Metadata.Labels[VersionLabelKey]; ok {
		w.Labels = append(w.Labels, VersionLabel{Field: `metadata.labels["` + VersionLabelKey + `"]`, Value: value})
	}
	if o.kind.Template != kinds.TemplateSelf {
		if value, ok := template.Metadata.Labels[VersionLabelKey]; ok {
			w.Labels = append(w.Labels, VersionLabel{Field: o.kind.Template.LabelsPath() + `["` + VersionLabelKey + `"]`, Value: value})
		}
	}
	if len(w.Labels) == 0 {
		return
	}
	for _, c := range w.Components() {
		if c.Role == RoleApplication {
			w.Applications = append(w.Applications, c)
		}
	}
}

// Repository is the image of a container without tag and digest, such as
// "docker.io/library/nginx"; empty if there is no such container or its image is invalid.
func (w *Workload) Repository(name string) string {
	if w.byName == nil {
		w.byName = make(map[string]*containerFacts, len(w.containers))
		for i := range w.containers {
			w.byName[w.containers[i].Name] = &w.containers[i]
		}
	}
	if c := w.byName[name]; c != nil && c.image.Error == "" {
		return c.image.Registry + "/" + c.image.Repository
	}
	return ""
}

// VolumeSource is the source of a volume, such as "flexVolume alicloud/disk"; empty if there is
// no such volume.
func (w *Workload) VolumeSource(name string) string {
	if v, ok := w.volumes[name]; ok {
		return v.source
	}
	return ""
}
