package inject

import (
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		profiles, image, annotations string
		want                         string // the profile, "" for none
	}{
		"by the server of the catalog":              {`[{name: a, match: {servers: [tomcat]}}]`, "registry.example.com:5000/x/tomee:9", "", "a"},
		"not by another server":                     {`[{name: a, match: {servers: [jetty]}}]`, "tomcat:9", "", ""},
		"not by a word in the image's name":         {`[{name: a, match: {servers: [tomcat]}}]`, "tomcat-exporter:9", "", ""},
		"by a repository of any registry":           {`[{name: a, match: {images: [geektime/tomcat]}}]`, "mirror.example.com/hub/geektime/tomcat:7", "", "a"},
		"by a repository of one registry":           {`[{name: a, match: {images: [docker.io/library/tomcat]}}]`, "tomcat@sha256:0000000000000000000000000000000000000000000000000000000000000000", "", "a"},
		"not by a repository of another registry":   {`[{name: a, match: {images: [quay.io/library/tomcat]}}]`, "tomcat", "", ""},
		"not by the end of a repository's element":  {`[{name: a, match: {images: [time/tomcat]}}]`, "geektime/tomcat:7", "", ""},
		"not by the start of a repository":          {`[{name: a, match: {images: [geektime/tomcat]}}]`, "geektime/tomcat/more:7", "", ""},
		"not by what is no image":                   {`[{name: a, match: {images: [tomcat]}}]`, "Tomcat", "", ""},
		"not by an image that is too long":          {`[{name: a, match: {images: [tomcat]}}]`, string(make([]byte, 2000)) + "/tomcat", "", ""},
		"the first of those that match":             {`[{name: a, match: {images: [x]}}, {name: b, match: {images: [tomcat]}}, {name: c, match: {servers: [tomcat]}}]`, "tomcat:9", "", "b"},
		"the first for the artifact":                {`[{name: a, match: {servers: [tomcat], artifacts: [other]}}, {name: b, match: {servers: [tomcat], artifacts: [x/sample]}}]`, "tomcat:9", "", "b"},
		"not for another artifact":                  {`[{name: a, match: {servers: [tomcat], artifacts: [x/sample/more]}}]`, "tomcat:9", "", ""},
		"the named one":                             {`[{name: a, match: {servers: [tomcat]}}, {name: b, match: {images: [tomcat]}}]`, "tomcat:9", " artifact-profile=b", "b"},
		"the named one, though for other artifacts": {`[{name: a, match: {servers: [tomcat], artifacts: [other]}}]`, "tomcat:9", " artifact-profile=a", "a"},
		"not the named one for another server":      {`[{name: a, match: {servers: [jetty]}}]`, "tomcat:9", " artifact-profile=a", ""},
		"the named one for the named container":     {`[{name: a, match: {servers: [jetty]}}]`, "tomcat:9", " artifact-profile=a artifact-container=server", "a"},
		"the first for the named container":         {`[{name: a, match: {servers: [jetty]}}, {name: b, match: {servers: [tomcat]}}]`, "tomcat:9", " artifact-container=server", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := podSpec(t, `{containers: [{name: other, image: "busybox:1"}, {name: server}]}`)
			spec.Containers[1].Image = tc.image
			p := planner(t, tc.profiles)
			for i := range p.options.Profiles {
				p.options.Profiles[i].Source, p.options.Profiles[i].Target = "/x", "/y"
			}
			_, targets := p.Plan(spec, ask(t, "artifact=registry.example.com/x/sample:1"+tc.annotations))
			if got := targets[0]; got.Profile != tc.want || got.Profile != "" && got.Container != "server" {
				t.Errorf("profile %q and container %q, want profile %q: %v", got.Profile, got.Container, tc.want, got.Problem)
			}
		})
	}
}

func TestNamedContainerAmongSeveral(t *testing.T) {
	t.Parallel()
	p := planner(t, profiles)
	spec := podSpec(t, `{initContainers: [{name: a, image: "tomcat:9", restartPolicy: Always}], containers: [{name: b, image: "tomcat:9"}]}`)
	for _, want := range []string{"a", "b"} {
		if _, targets := p.Plan(spec, ask(t, "artifact=x:1 artifact-container="+want)); targets[0].Container != want || targets[0].Problem != nil {
			t.Errorf("container %q, want %q: %v", targets[0].Container, want, targets[0].Problem)
		}
	}
}
