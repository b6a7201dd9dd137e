package workload

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Roles of components.
const (
	RoleApplication = "application"
	RoleServer      = "server" // runs an application that comes from elsewhere in the Pod
	RoleTool        = "tool"
)

// Precisions of components that images do not have.
const (
	PrecisionPath = "path" // read off a path such as /opt/tomcat-9.0.1/bin
	PrecisionNone = "none" // the manifest says no version
)

// Component is a thing with a version in a workload.
type Component struct {
	// Name is what the component is called, from its image, file or volume.
	Name string `json:"name" jsonschema:"what the component is called, from its image, file or volume"`
	// Role is application, server, sidecar or tool.
	Role string `json:"role" jsonschema:"application, server, sidecar or tool"`
	// Container is the container it comes from; empty for a volume.
	Container string `json:"container" jsonschema:"the container it comes from"`
	// Version is the version as written; empty if the manifest says none.
	Version string `json:"version" jsonschema:"the version as written"`
	// Field is the field path where the version is written.
	Field string `json:"field" jsonschema:"the field path where the version is written"`
	// Precision is digest, exact, floating, moving or none.
	Precision string `json:"precision" jsonschema:"digest, exact, floating, moving or none"`
	// Refined is a longer version that a path names, empty if none does.
	Refined string `json:"refined" jsonschema:"a longer version that a path names"`
	// RefinedBy is the field path of that path.
	RefinedBy string `json:"refinedBy" jsonschema:"the field path of that path"`
}

// Components answers which version of what runs, from the manifest's structure alone. It needs
// every fact of the workload's containers, whatever groups were asked for. Tools are the names of
// images that are no application by themselves, such as "busybox": what they copy says nothing
// about what runs.
func (w *Workload) Components(tools ...string) []Component {
	s := w.supply(tools)
	found := make([]Component, 0, len(s.volumes)+len(w.containers))
	for _, v := range s.volumes {
		found = append(found, v.components()...)
	}
	first := true // no main container yet
	for i := range w.containers {
		c := &w.containers[i]
		found = append(found, c.component(s.role(i, c, first)))
		first = first && c.role != RoleMain
	}
	return found
}

// supply says what of a Pod comes from where.
type supply struct {
	feeds   map[*containerFacts]bool // containers whose image holds an application that another runs
	served  map[int]bool             // containers, by index, that run an application from elsewhere in the Pod
	volumes []*volumeFacts           // the volumes that are an application by themselves
}

func (w *Workload) supply(tools []string) supply {
	s := supply{feeds: make(map[*containerFacts]bool), served: make(map[int]bool)}
	seen := make(map[*volumeFacts]*feeders, len(w.volumes))
	for i := range w.containers {
		server := &w.containers[i]
		if server.role != RoleMain {
			continue
		}
		for j := range server.mounts {
			v := server.mounts[j].volume
			f := seen[v]
			if f == nil {
				f = v.feeders(tools)
				seen[v] = f
				if v.class == ClassDeclared || v.class == ClassImage {
					s.volumes = append(s.volumes, v)
				}
			}
			if v.class == ClassDeclared || v.class == ClassImage || f.serve(server.Image, s.feeds) {
				s.served[i] = true
			}
		}
	}
	return s
}

// feeders are the containers that bring what their image holds into a volume, by image.
type feeders struct {
	byImage map[string][]*containerFacts
	served  map[string]bool // the images of the servers that were asked about
}

func (v *volumeFacts) feeders(tools []string) *feeders {
	f := &feeders{byImage: make(map[string][]*containerFacts), served: make(map[string]bool)}
	var last *containerFacts // a container's mounts stand together
	for _, m := range v.mounts {
		c := m.container
		if c != last && c.role != RoleMain && c.copiesOwnFiles(v) && !slices.Contains(tools, c.image.Name) {
			f.byImage[c.Image] = append(f.byImage[c.Image], c)
		}
		last = c
	}
	return f
}

// serve marks those that bring something to a server of an image, and reports whether any does. A
// container of the server's own image prepares the server; it brings nothing.
func (f *feeders) serve(image string, marked map[*containerFacts]bool) bool {
	own := len(f.byImage[image])
	// Servers of two images mark every container; those of one image mark the same ones.
	if len(f.served) < 2 && !f.served[image] {
		f.served[image] = true
		for other, containers := range f.byImage {
			for _, c := range containers {
				marked[c] = marked[c] || other != image
			}
		}
	}
	return len(f.byImage) > 1 || len(f.byImage) == 1 && own == 0
}

func (s *supply) role(i int, c *containerFacts, first bool) string {
	switch {
	case s.feeds[c]:
		return RoleApplication
	case c.role == RoleSidecar:
		return RoleSidecar
	case c.role != RoleMain:
		return RoleTool
	case s.served[i]:
		return RoleServer
	case first:
		return RoleApplication
	default:
		return RoleSidecar
	}
}

// component is the component that a container's image is.
func (c *containerFacts) component(role string) Component {
	component := Component{
		Name: c.image.Name, Role: role, Container: c.Name, Version: c.image.version(), Field: c.field + ".image", Precision: c.image.Precision,
	}
	if component.Name == "" {
		component.Name = c.Name
	}
	if component.Version == "" {
		component.Precision = PrecisionNone
	}
	component.Refined, component.RefinedBy = c.refine()
	return component
}

// refine looks for the version of the image's program in the paths of the command and the mounts.
// A path that contradicts an exact tag is not a refinement.
func (c *containerFacts) refine() (version, field string) {
	accept := func(candidate string) bool {
		return candidate != "" && candidate != c.image.Tag &&
			(c.image.Precision == PrecisionMoving || c.image.Tag == "" || strings.HasPrefix(candidate, c.image.Tag))
	}
	for _, word := range c.words().words {
		if candidate := versionInPath(word.path, c.image.Name); accept(candidate) {
			return candidate, word.field
		}
	}
	for i := range c.mounts {
		if candidate := versionInPath(c.mounts[i].path, c.image.Name); accept(candidate) {
			return candidate, c.mounts[i].field
		}
	}
	return "", ""
}

// copiesOwnFiles reports whether a container copies files of its image into a volume: a copying
// command whose source is on none of its mounts and whose target is on the volume, or no command
// at all, so that the image does it.
func (c *containerFacts) copiesOwnFiles(v *volumeFacts) bool {
	if v.class == ClassConfig || v.class == ClassPlatform {
		return false
	}
	writable := false
	for i := range c.mounts {
		writable = writable || c.mounts[i].volume == v && !c.mounts[i].readOnly
	}
	if !writable {
		return false
	}
	if len(c.Command) == 0 && len(c.Args) == 0 {
		return true
	}
	own, into := false, false
	for _, word := range c.words().words {
		if !copies[word.verb] || word.position == 0 {
			continue
		}
		if m := c.mountOf(word.path); m == nil {
			own = true
		} else if m.volume == v {
			into = true
		}
	}
	return own && into
}

// copies are the commands that copy files that are there already.
var copies = map[string]bool{"cp": true, "mv": true, "rsync": true, "install": true, "ln": true, "tar": true, "unzip": true}

// components are the applications that a declared volume or an image volume holds.
func (v *volumeFacts) components() []Component {
	if v.class == ClassImage {
		name := parseImage(v.image)
		return []Component{orNone(Component{Name: name.Name, Role: RoleApplication, Version: name.version(), Field: v.imageField, Precision: name.Precision})}
	}
	found := make([]Component, 0, len(v.declarations))
	for i := range v.declarations {
		d := &v.declarations[i]
		found = append(found, orNone(Component{Name: declaredName(d), Role: RoleApplication, Version: d.Version, Field: d.Field, Precision: d.Precision}))
	}
	return found
}

func orNone(c Component) Component {
	if c.Version == "" {
		c.Precision = PrecisionNone
	}
	return c
}

// declaredName is the file's or image's name without its version and ending.
func declaredName(d *Declaration) string {
	if d.Kind == DeclarationImage {
		return parseImage(d.Value).Name
	}
	last := d.Value
	if u, err := url.Parse(d.Value); err == nil && u.Path != "" {
		last = u.Path
	}
	stem, _ := versionInName(path.Base(last))
	if stem == "" {
		return strconv.Quote(path.Base(last))
	}
	return stem
}
