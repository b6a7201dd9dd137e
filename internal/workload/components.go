package workload

import (
	"net/url"
	"path"
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
// every fact of the workload's containers, whatever groups were asked for.
func (w *Workload) Components() []Component {
	var found []Component
	served := make(map[string]bool) // containers that run an application from elsewhere
	seen := make(map[*volumeFacts]bool)
	feeds := make(map[string]bool) // containers whose image holds an application
	for i := range w.containers {
		c := &w.containers[i]
		if c.role != RoleMain {
			continue
		}
		for j := range c.mounts {
			v := c.mounts[j].volume
			for k := range w.containers {
				if feeder := &w.containers[k]; k != i && feeder.role != RoleMain && feeder.copiesOwnFiles(v) {
					feeds[feeder.Name], served[c.Name] = true, true
				}
			}
			if v.class == ClassDeclared || v.class == ClassImage {
				served[c.Name] = true
				if !seen[v] {
					seen[v] = true
					found = append(found, v.components()...)
				}
			}
		}
	}
	first := true
	for i := range w.containers {
		c := &w.containers[i]
		role := RoleTool
		switch {
		case feeds[c.Name]:
			role = RoleApplication
		case c.role == RoleSidecar || c.role == RoleMain && !first:
			role = RoleSidecar
		case c.role == RoleMain && served[c.Name]:
			role, first = RoleServer, false
		case c.role == RoleMain:
			role, first = RoleApplication, false
		}
		if c.role == RoleMain && served[c.Name] && role == RoleSidecar {
			role = RoleServer
		}
		found = append(found, c.component(role))
	}
	return found
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
