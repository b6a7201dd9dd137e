package workload

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// carriers writes each carrier as "role container image -> consumer:path before".
func carriers(list []Carrier) []string {
	var out []string
	for _, c := range list {
		line := fmt.Sprintf("%s %s %s -> %s:%s", c.Role, c.Container, c.Value, c.Consumer, c.Path)
		if c.Before {
			line += " before"
		}
		out = append(out, line)
	}
	return out
}

func TestCarriers(t *testing.T) {
	t.Parallel()
	const (
		m       = ", volumeMounts: [{name: v, mountPath: /m}]}"
		server  = "  containers: [{name: c, image: 'tomcat:9', volumeMounts: [{name: v, mountPath: /webapps}]}]\n"
		volumes = "  volumes: [{name: v, emptyDir: {}}, {name: w, emptyDir: {}}, {name: i, image: {reference: 'a/w:2'}}, {name: s, configMap: {name: s}}]"
	)
	for name, tc := range map[string]struct {
		spec    string
		want    []string // for the container c
		wantAny []string // for no container
	}{
		"an init container": {
			"  initContainers: [{name: a, image: 'a:1'" + m + "]\n" + server,
			[]string{"init a a:1 -> c:/webapps before"}, []string{"init a a:1 -> c:/webapps before"},
		},
		"a native sidecar": {
			"  initContainers: [{name: a, image: 'a:1', restartPolicy: Always" + m + "]\n" + server,
			[]string{"sidecar a a:1 -> c:/webapps before"}, []string{"sidecar a a:1 -> c:/webapps before", "main c tomcat:9 -> a:/m"},
		},
		"a main container starts with its consumer": {
			"  containers: [{name: a, image: 'a:1'" + m + ", {name: c, volumeMounts: [{name: v, mountPath: /webapps, readOnly: true}]}]\n",
			[]string{"main a a:1 -> c:/webapps"}, []string{"main a a:1 -> c:/webapps"},
		},
		"a debugging container comes later": {
			server + "  ephemeralContainers: [{name: e, image: 'e:1'" + m + "]\n",
			[]string{"ephemeral e e:1 -> c:/webapps"}, []string{"ephemeral e e:1 -> c:/webapps"},
		},
		"nobody writes but the consumer":       {server, nil, nil},
		"an init container that cannot write":  {"  initContainers: [{name: a, volumeMounts: [{name: v, mountPath: /m, readOnly: true}]}]\n" + server, nil, nil},
		"an init container of another volume":  {"  initContainers: [{name: a, volumeMounts: [{name: w, mountPath: /m}]}]\n" + server, nil, nil},
		"a ConfigMap is written by nobody":     {"  initContainers: [{name: a, volumeMounts: [{name: s, mountPath: /m}]}]\n  containers: [{name: c, volumeMounts: [{name: s, mountPath: /m}]}]\n", nil, nil},
		"an init container reads what is left": {"  initContainers: [{name: a, image: 'a:1'" + m + ", {name: b, image: 'b:1'" + m + "]\n  containers: [{name: c}]\n", nil, nil},
		"two init containers, in their order": {
			"  initContainers: [{name: b, image: 'b:1'" + m + ", {name: a, image: 'a:1'" + m + "]\n" + server,
			[]string{"init b b:1 -> c:/webapps before", "init a a:1 -> c:/webapps before"},
			[]string{"init b b:1 -> c:/webapps before", "init a a:1 -> c:/webapps before"},
		},
		"two mounts of the consumer": {
			"  initContainers: [{name: a, image: 'a:1', volumeMounts: [{name: v, mountPath: /m}, {name: v, mountPath: /n}, {name: w, mountPath: /o}]}]\n" +
				"  containers: [{name: c, volumeMounts: [{name: v, mountPath: /x.war, subPath: x.war}, {name: w, mountPath: /y/}]}]\n",
			[]string{"init a a:1 -> c:/x.war before", "init a a:1 -> c:/y before"}, []string{"init a a:1 -> c:/x.war before"},
		},
		"an image volume": {
			"  containers: [{name: c, volumeMounts: [{name: i, mountPath: /a}, {name: i, mountPath: /b}]}, {name: d, volumeMounts: [{name: i, mountPath: /c}]}]\n",
			[]string{"volume  a/w:2 -> c:/a before", "volume  a/w:2 -> c:/b before"}, []string{"volume  a/w:2 -> c:/a before"},
		},
		"an image volume of an init container": {"  initContainers: [{name: a, volumeMounts: [{name: i, mountPath: /a}]}]\n  containers: [{name: c}]\n", nil, nil},
		"the consumer is a native sidecar": {
			"  initContainers: [{name: a, image: 'a:1'" + m + ", {name: c, image: 'c:1', restartPolicy: Always" + m + ", {name: b, image: 'b:1'" + m + "]\n",
			[]string{"init a a:1 -> c:/m before", "init b b:1 -> c:/m"}, []string{"init a a:1 -> c:/m before", "init b b:1 -> c:/m"},
		},
		"any consumer is one that starts later, if there is one": {
			"  initContainers: [{name: s, image: 's:1', restartPolicy: Always, volumeMounts: [{name: w, mountPath: /s}]}," +
				" {name: a, image: 'a:1', volumeMounts: [{name: w, mountPath: /w}, {name: v, mountPath: /v}]}]\n" + server,
			[]string{"init a a:1 -> c:/webapps before"}, []string{"init a a:1 -> c:/webapps before"},
		},
		"no such container": {"  initContainers: [{name: a, image: 'a:1'" + m + "]\n  containers: [{name: d" + m + "]\n", nil, []string{"init a a:1 -> d:/m before"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := read(t, "", "Pod", pod(tc.spec+volumes))
			w.AddArtifacts([]Destination{{Container: "c", Path: "/webapps"}, {}})
			if diff := cmp.Diff(tc.want, carriers(w.Artifacts[0].Carriers)); diff != "" {
				t.Errorf("carriers to c (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantAny, carriers(w.Artifacts[1].Carriers)); diff != "" {
				t.Errorf("carriers to any container (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArtifactFacts(t *testing.T) {
	t.Parallel()
	w := read(t, "", "Pod", pod(`
  initContainers: [{name: artifact, image: 'geektime/sample:v1', volumeMounts: [{name: v, mountPath: /m}]}]
  containers: [{name: tomcat, image: 'tomcat:9', volumeMounts: [{name: v, mountPath: /webapps}]}]
  volumes: [{name: v, emptyDir: {}}]`))
	name := parseImage("geektime/sample:v2")
	w.AddArtifacts([]Destination{{
		Asked:     Asked{Name: "web", Field: "f", Value: "geektime/sample:v2", Image: name, Profile: "p"},
		Container: "tomcat", Path: "/webapps", Problem: "why",
	}})
	want := []Artifact{{
		Field: "f", Value: "geektime/sample:v2", ImageName: name, Container: "tomcat", Target: "/webapps", Problem: "why",
		Carriers: []Carrier{{
			Container: "artifact", Role: RoleInit, Field: "spec.initContainers[0].image", Value: "geektime/sample:v1", ImageName: parseImage("geektime/sample:v1"),
			Consumer: "tomcat", Path: "/webapps", Before: true,
		}},
	}}
	if diff := cmp.Diff(want, w.Artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
}
