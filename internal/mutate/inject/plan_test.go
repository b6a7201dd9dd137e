package inject

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// profiles are those that most tests plan with.
const profiles = `
- {name: tomcat, match: {servers: [tomcat]}, source: /sample.war, target: /usr/local/tomcat/webapps, hideTarget: true}
- {name: tomcat-file, match: {images: [example/tomcat]}, source: /sample.war, rename: ROOT.war, target: /webapps}
- {name: pages, match: {images: [example/web], artifacts: [example/pages]}, source: /pages/, target: /www, hideTarget: true, readOnly: true}
- {name: more-pages, match: {images: [example/web], artifacts: [example/more]}, source: /more/, target: /www, hideTarget: true, init: {sizeLimit: 1Gi}}
- {name: below, match: {images: [example/web], artifacts: [example/below]}, source: /below/, target: /www/below, hideTarget: true}
- {name: beside, match: {images: [example/web], artifacts: [example/beside]}, source: /beside.html, target: /www2}
- {name: root, match: {images: [example/root]}, source: /app, target: /app, hideTarget: true, init: {user: 0, rootBecause: the source is readable by root only}}
- {name: iis, match: {images: [example/iis]}, os: windows, source: /app/, target: /inetpub, hideTarget: true, init: {command: [xcopy, /app, /copy, /e], mountPath: /copy}}
`

// planner has profiles, with the defaults of the configuration.
func planner(tb testing.TB, text string) *Planner {
	tb.Helper()
	o := Options{Servers: map[string]string{"tomcat": "tomcat", "tomee": "tomcat"}}
	if err := yaml.UnmarshalStrict([]byte(text), &o.Profiles); err != nil {
		tb.Fatal(err)
	}
	for i := range o.Profiles {
		p := &o.Profiles[i]
		if p.OS == "" {
			p.OS = v1alpha1.Linux
		}
		if p.Init.MountPath == "" {
			p.Init.MountPath = "/plainspec/artifact"
		}
	}
	return New(o)
}

func podSpec(tb testing.TB, text string) *corev1.PodSpec {
	tb.Helper()
	var spec corev1.PodSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		tb.Fatal(err)
	}
	return &spec
}

// ask reads what a Pod asks for by annotations, which are written without their prefix:
// "artifact=x:1 artifact-mode=init".
func ask(tb testing.TB, annotations string) []workload.Asked {
	tb.Helper()
	all := map[string]string{}
	for one := range strings.FieldsSeq(annotations) {
		key, value, _ := strings.Cut(one, "=")
		all["plainspec.dev/"+key] = value
	}
	asked, stray := read(tb, all)
	if len(stray) > 0 {
		tb.Fatalf("stray annotations %q", stray)
	}
	return asked
}

func read(tb testing.TB, annotations map[string]string) (asked []workload.Asked, stray []string) {
	tb.Helper()
	pod, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		tb.Fatal(err)
	}
	kind, _ := kinds.Find("", "Pod")
	object, err := workload.Decode(pod, kind)
	if err != nil {
		tb.Fatal(err)
	}
	return workload.NewReader().Asked(object)
}

// text is the YAML form of something, without what is empty.
func text(tb testing.TB, v any) string {
	tb.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "  resources: {}\n", "")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const restricted = `  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop:
      - ALL
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: 65532
    seccompProfile:
      type: RuntimeDefault
`
	const amounts = `  resources:
    limits:
      cpu: 100m
      memory: 64Mi
    requests:
      cpu: 100m
      memory: 64Mi
` + restricted
	for name, tc := range map[string]struct {
		spec, annotations string
		want              string
	}{
		"a file into a folder that is hidden": {
			spec:        `{containers: [{name: log, image: example/log:1}, {name: server, image: "tomcat:9.0"}]}`,
			annotations: "artifact=geektime/sample:v2",
			want: `InitContainers:
- command:
  - cp
  - /sample.war
  - /plainspec/artifact
  image: geektime/sample:v2
  name: artifact
` + amounts + `  volumeMounts:
  - mountPath: /plainspec/artifact
    name: artifact
Mounts:
- Container: server
  Mounts:
  - mountPath: /usr/local/tomcat/webapps
    name: artifact
Volumes:
- emptyDir: {}
  name: artifact
`,
		},
		"a file alone, under another name, into a folder that stays": {
			spec:        `{containers: [{name: server, image: "registry.example.com:5000/mirror/example/tomcat:9.0"}]}`,
			annotations: "artifact.shop=geektime/sample:v2 artifact-profile.shop=tomcat-file",
			want: `InitContainers:
- command:
  - cp
  - /sample.war
  - /plainspec/artifact/ROOT.war
  image: geektime/sample:v2
  name: artifact-shop
` + amounts + `  volumeMounts:
  - mountPath: /plainspec/artifact
    name: artifact-shop
Mounts:
- Container: server
  Mounts:
  - mountPath: /webapps/ROOT.war
    name: artifact-shop
    subPath: ROOT.war
Volumes:
- emptyDir: {}
  name: artifact-shop
`,
		},
		"two folders into one, and a file beside it, for a native sidecar": {
			spec:        `{initContainers: [{name: web, image: "example/web:1", restartPolicy: Always}], containers: [{name: job, image: "job:1"}]}`,
			annotations: "artifact.c=example/beside:1 artifact.b=example/more:1 artifact.a=example/pages:1",
			want: `InitContainers:
- command:
  - cp
  - -R
  - /pages/.
  - /plainspec/artifact
  image: example/pages:1
  name: artifact-a
` + amounts + `  volumeMounts:
  - mountPath: /plainspec/artifact
    name: artifact-a
- command:
  - cp
  - -R
  - /more/.
  - /plainspec/artifact
  image: example/more:1
  name: artifact-b
` + amounts + `  volumeMounts:
  - mountPath: /plainspec/artifact
    name: artifact-a
- command:
  - cp
  - /beside.html
  - /plainspec/artifact
  image: example/beside:1
  name: artifact-c
` + amounts + `  volumeMounts:
  - mountPath: /plainspec/artifact
    name: artifact-c
Mounts:
- Container: web
  Mounts:
  - mountPath: /www
    name: artifact-a
  - mountPath: /www2/beside.html
    name: artifact-c
    subPath: beside.html
Volumes:
- emptyDir: {}
  name: artifact-a
- emptyDir: {}
  name: artifact-c
`,
		},
		"two servers": {
			spec: `{initContainers: [{name: web, image: "example/web:1", restartPolicy: Always}],
				containers: [{name: b, image: "tomcat:9"}, {name: a, image: "tomee:9"}]}`,
			annotations: "artifact.1=example/one:latest@sha256:" + strings.Repeat("0", 64) + " artifact-container.1=a artifact.2=example/two:1 artifact-container.2=b artifact.3=example/pages:1 artifact-profile.3=pages",
			want: `Mounts:
- Container: web
  Mounts:
  - mountPath: /www
    name: artifact-3
    readOnly: true
- Container: b
  Mounts:
  - mountPath: /usr/local/tomcat/webapps
    name: artifact-2
- Container: a
  Mounts:
  - mountPath: /usr/local/tomcat/webapps
    name: artifact-1
`,
		},
		"for Windows": {
			spec:        `{os: {name: windows}, containers: [{name: iis, image: "example/iis:1"}]}`,
			annotations: "artifact=example/app:1",
			want: `InitContainers:
- command:
  - xcopy
  - /app
  - /copy
  - /e
  image: example/app:1
  name: artifact
  resources:
    limits:
      cpu: 100m
      memory: 64Mi
    requests:
      cpu: 100m
      memory: 64Mi
  securityContext:
    runAsNonRoot: true
  volumeMounts:
  - mountPath: /copy
    name: artifact
Mounts:
- Container: iis
  Mounts:
  - mountPath: /inetpub
    name: artifact
Volumes:
- emptyDir: {}
  name: artifact
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := podSpec(t, tc.spec)
			before := spec.DeepCopy()
			parts, targets := planner(t, profiles).Plan(spec, ask(t, tc.annotations))
			for _, target := range targets {
				if target.Problem != nil {
					t.Errorf("artifact %q has a problem: %s", target.Asked.Name, target.Problem.Text)
				}
			}
			got := text(t, parts)
			if !strings.HasPrefix(tc.want, "InitContainers:") { // only the mounts are of interest
				got = text(t, map[string]any{"Mounts": parts.Mounts})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, spec); diff != "" {
				t.Errorf("the spec was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPlanOfNothing(t *testing.T) {
	t.Parallel()
	parts, targets := planner(t, profiles).Plan(podSpec(t, `{containers: [{name: server, image: "tomcat:9.0"}]}`), nil)
	if diff := cmp.Diff(Parts{}, parts); diff != "" || len(targets) > 0 {
		t.Errorf("there are targets %v and parts (-want +got):\n%s", targets, diff)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	type target struct{ Container, Path, Profile, Field, Code string }
	const spec = `{containers: [{name: server, image: "tomcat:9.0"}, {name: web, image: "example/web:1"}]}`
	for name, tc := range map[string]struct {
		annotations string
		want        []target
	}{
		"the folder, or the file in it": {
			annotations: "artifact.a=x:1 artifact.b=example/beside:1 artifact-container.b=web",
			want: []target{
				{Container: "server", Path: "/usr/local/tomcat/webapps", Profile: "tomcat", Field: `metadata.annotations["plainspec.dev/artifact.a"]`},
				{Container: "web", Path: "/www2/beside.html", Profile: "beside", Field: `metadata.annotations["plainspec.dev/artifact.b"]`},
			},
		},
		"known though something is in the way": {
			annotations: "artifact=x:1 artifact-mode=magic",
			want: []target{
				{Container: "server", Path: "/usr/local/tomcat/webapps", Profile: "tomcat", Field: `metadata.annotations["plainspec.dev/artifact"]`, Code: "unknown_mode"},
			},
		},
		"unknown without a server": {
			annotations: "artifact=x:1 artifact-container=none",
			want:        []target{{Field: `metadata.annotations["plainspec.dev/artifact"]`, Code: "unknown_container"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := ask(t, tc.annotations)
			parts, targets := planner(t, profiles).Plan(podSpec(t, spec), asked)
			var got []target
			failed := false
			for i, one := range targets {
				if diff := cmp.Diff(asked[i], one.Asked); diff != "" {
					t.Errorf("target %d is for another artifact (-want +got):\n%s", i, diff)
				}
				is := target{Container: one.Container, Path: one.Path, Profile: one.Profile, Field: one.Asked.Field}
				if one.Problem != nil {
					failed = true
					is.Field, is.Code = one.Problem.Field, string(one.Problem.Code)
				}
				got = append(got, is)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if nothing := cmp.Equal(Parts{}, parts); nothing != failed {
				t.Errorf("parts are empty: %t, a target has a problem: %t", nothing, failed)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const tomcat = `{containers: [{name: server, image: "tomcat:9.0"}]}`
	for name, tc := range map[string]struct {
		profiles, spec, annotations string // profiles: those above, spec: tomcat
		want                        []string
	}{
		"no profile for the container": {
			spec: `{containers: [{name: server, image: "jetty:9.0"}]}`, annotations: "artifact=x:1",
			want: []string{`no_profile: no profile matches container "server" (jetty); configured are "tomcat", "tomcat-file", "pages", "more-pages", "below" and 3 more; ask the platform team for one, or name one with plainspec.dev/artifact-profile`},
		},
		"no profile for any container": {
			spec: `{containers: [{name: a, image: "jetty:9.0"}, {name: b, image: "registry.example.com/x/y@sha256:` + strings.Repeat("0", 64) + `"}, {name: c, image: "No Image"}]}`, annotations: "artifact.x=x:1",
			profiles: `[{name: tomcat, match: {servers: [tomcat]}}]`,
			want:     []string{`no_profile: no profile matches any container of the Pod, which has "a" (jetty), "b" (registry.example.com/x/y), "c" ("No Image"); configured are "tomcat"; ask the platform team for one, or name one with plainspec.dev/artifact-profile.x`},
		},
		"no profile because init containers that end serve nothing": {
			spec: `{initContainers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=x:1", profiles: `[{name: tomcat, match: {servers: [tomcat]}}]`,
			want: []string{`no_profile: no profile matches any container of the Pod, which has none; configured are "tomcat"; ask the platform team for one, or name one with plainspec.dev/artifact-profile`},
		},
		"no profile at all": {
			profiles: "[]", annotations: "artifact=x:1",
			want: []string{`no_profile: no profile matches container "server" (tomcat): the configuration has no profiles; ask the platform team for one`},
		},
		"no profile for the artifact": {
			spec: `{containers: [{name: web, image: "example/web:1"}]}`, annotations: "artifact=example/others:1",
			want: []string{`no_profile: profile "pages" matches container "web" (example/web), but not artifact example/others; ask the platform team for one that does, or name it with plainspec.dev/artifact-profile`},
		},
		"no profile for the named container": {
			spec: `{containers: [{name: server, image: "tomcat:9.0"}, {name: b, image: "jetty:9"}]}`, annotations: "artifact=x:1 artifact-container=b", profiles: `[{name: tomcat, match: {servers: [tomcat]}}]`,
			want: []string{`no_profile: no profile matches container "b" (jetty); configured are "tomcat"; ask the platform team for one, or name one with plainspec.dev/artifact-profile`},
		},
		"the named profile matches nothing": {
			annotations: "artifact=x:1 artifact-profile=pages",
			want:        []string{`no_profile: profile "pages" matches no container of the Pod, which has "server" (tomcat); name the container with plainspec.dev/artifact-container, or correct plainspec.dev/artifact-profile`},
		},
		"the named profile is not configured": {
			annotations: "artifact=x:1 artifact-profile=tomact", profiles: `[{name: tomcat, match: {servers: [tomcat]}}, {name: jetty}]`,
			want: []string{`unknown_profile: there is no profile "tomact"; configured are "tomcat", "jetty"; correct plainspec.dev/artifact-profile`},
		},
		"a profile is named, and none is configured": {
			annotations: "artifact=x:1 artifact-profile=tomcat", profiles: "[]",
			want: []string{`unknown_profile: there is no profile "tomcat": the configuration has no profiles; ask the platform team for one`},
		},
		"the named container is not there": {
			annotations: "artifact=x:1 artifact-container=" + strings.Repeat("s", 70),
			want:        []string{`unknown_container: the Pod has no main container and no native sidecar "` + strings.Repeat("s", 63) + `"…; it has "server" (tomcat); correct plainspec.dev/artifact-container`},
		},
		"the named container ends": {
			spec: `{initContainers: [{name: init, image: "tomcat:9.0"}], containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=x:1 artifact-container=init",
			want: []string{`unknown_container: the Pod has no main container and no native sidecar "init"; it has "server" (tomcat); correct plainspec.dev/artifact-container`},
		},
		"several containers match": {
			spec: `{containers: [{name: a, image: "tomcat:9.0"}, {name: b, image: "tomee:9.0"}]}`, annotations: "artifact=x:1",
			want: []string{`ambiguous_server: profile "tomcat" matches several containers, "a" (tomcat), "b" (tomee); name one of them with plainspec.dev/artifact-container`},
		},
		"the mode is of another version": {
			annotations: "artifact=x:1 artifact-mode=sidecar",
			want:        []string{`unknown_mode: there is no mode "sidecar"; this version has "init"; correct plainspec.dev/artifact-mode`},
		},
		"the name makes no container name": {
			annotations: "artifact.A_b=x:1",
			want:        []string{`invalid_name: "artifact-A_b" cannot name a container; after plainspec.dev/artifact., use lower-case letters, digits and "-", at most 54 of them`},
		},
		"the name is too long": {
			annotations: "artifact." + strings.Repeat("a", 55) + "=x:1",
			want:        []string{`invalid_name: "artifact-` + strings.Repeat("a", 54) + `"… cannot name a container; after plainspec.dev/artifact., use lower-case letters, digits and "-", at most 54 of them`},
		},
		"the value is no image reference": {
			annotations: "artifact=Sample:1",
			want:        []string{`invalid_artifact: "Sample:1" is no image reference: invalid reference format: repository name (library/Sample) must be lowercase; correct plainspec.dev/artifact`},
		},
		"the value is empty": {
			annotations: "artifact.x=",
			want:        []string{`invalid_artifact: "" is no image reference: invalid reference format; correct plainspec.dev/artifact.x`},
		},
		"the value names no version": {
			annotations: "artifact=registry.example.com/sample",
			want:        []string{`unversioned_artifact: registry.example.com/sample names no version; write one as its tag or digest, as in registry.example.com/sample:1.2.3, in plainspec.dev/artifact`},
		},
		"the value names the newest version": {
			annotations: "artifact=geektime/sample:Latest",
			want:        []string{`unversioned_artifact: geektime/sample:Latest names no version, since its tag always means the newest; write one, as in geektime/sample:1.2.3, in plainspec.dev/artifact`},
		},
		"a volume is mounted where the artifact goes": {
			spec: `{containers: [{name: server, image: "tomcat:9.0", volumeMounts: [{name: war, mountPath: /usr/local/tomcat/webapps/}]}]}`, annotations: "artifact=x:1",
			want: []string{`path_mounted: container "server" mounts volume "war" at /usr/local/tomcat/webapps, in the way of the artifact at /usr/local/tomcat/webapps; take that mount out of the manifest, or mount it elsewhere`},
		},
		"a volume is mounted in the folder where the artifact goes": {
			spec: `{containers: [{name: server, image: "tomcat:9.0", volumeMounts: [{name: conf, mountPath: /usr/local/tomcat/webapps/ROOT/WEB-INF}]}]}`, annotations: "artifact=x:1",
			want: []string{`path_mounted: container "server" mounts volume "conf" at /usr/local/tomcat/webapps/ROOT/WEB-INF, in the way of the artifact at /usr/local/tomcat/webapps; take that mount out of the manifest, or mount it elsewhere`},
		},
		"a volume is mounted at the folder of the artifact's file": {
			spec: `{containers: [{name: server, image: "example/tomcat:9.0", volumeMounts: [{name: war, mountPath: webapps}]}]}`, annotations: "artifact=x:1 artifact-profile=tomcat-file",
			want: []string{`path_mounted: container "server" mounts volume "war" at /webapps, in the way of the artifact at /webapps/ROOT.war; take that mount out of the manifest, or mount it elsewhere`},
		},
		"a volume is mounted at the artifact's file": {
			spec: `{containers: [{name: server, image: "example/tomcat:9.0", volumeMounts: [{name: war, mountPath: /webapps/ROOT.war, subPath: x}]}]}`, annotations: "artifact=x:1 artifact-profile=tomcat-file",
			want: []string{`path_mounted: container "server" mounts volume "war" at /webapps/ROOT.war, in the way of the artifact at /webapps/ROOT.war; take that mount out of the manifest, or mount it elsewhere`},
		},
		"a device is where the artifact goes": {
			spec: `{containers: [{name: server, image: "tomcat:9.0", volumeDevices: [{name: disk, devicePath: /usr/local/tomcat/webapps}]}]}`, annotations: "artifact=x:1",
			want: []string{`path_mounted: container "server" mounts volume "disk" at /usr/local/tomcat/webapps, in the way of the artifact at /usr/local/tomcat/webapps; take that mount out of the manifest, or mount it elsewhere`},
		},
		"a volume is mounted there, as Windows writes paths": {
			spec:        `{os: {name: windows}, containers: [{name: iis, image: "example/iis:1", volumeMounts: [{name: www, mountPath: 'C:\Inetpub\wwwroot'}]}]}`,
			annotations: "artifact=x:1",
			want:        []string{`path_mounted: container "iis" mounts volume "www" at /inetpub/wwwroot, in the way of the artifact at /inetpub; take that mount out of the manifest, or mount it elsewhere`},
		},
		"another artifact's folder is above": {
			spec: `{containers: [{name: web, image: "example/web:1"}]}`, annotations: "artifact.a=example/pages:1 artifact.b=example/below:1",
			want: []string{"", `path_mounted: plainspec.dev/artifact.a is to be mounted at /www of container "web", in the way of this one at /www/below; choose another profile with plainspec.dev/artifact-profile.b`},
		},
		"another artifact's folder is below": {
			spec: `{containers: [{name: web, image: "example/web:1"}]}`, annotations: "artifact=example/below:1 artifact.b=example/pages:1",
			want: []string{"", `path_mounted: plainspec.dev/artifact is to be mounted at /www/below of container "web", in the way of this one at /www; choose another profile with plainspec.dev/artifact-profile.b`},
		},
		"an init container of the manifest has another version": {
			spec: `{initContainers: [{name: artifact, image: "docker.io/geektime/sample:v1"}], containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=geektime/sample:v2",
			want: []string{`name_taken: init container "artifact" and plainspec.dev/artifact disagree: docker.io/geektime/sample:v1 and geektime/sample:v2; change the annotation only, and take the init container out of the manifest if it is in it`},
		},
		"an init container of the manifest has the name": {
			spec: `{initContainers: [{name: artifact-x, image: "busybox:1"}], containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact.x=geektime/sample:v2",
			want: []string{`name_taken: init container "artifact-x" is not what would be injected for plainspec.dev/artifact.x; take it out of the manifest or rename it, or take back what was changed in it`},
		},
		"an injected init container was edited": {
			spec: `{initContainers: [{name: artifact, image: "geektime/sample:v2", command: [cp, /sample.war, /elsewhere]}], containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=geektime/sample:v2",
			want: []string{`name_taken: init container "artifact" is not what would be injected for plainspec.dev/artifact; take it out of the manifest or rename it, or take back what was changed in it`},
		},
		"a main container has the name": {
			spec: `{containers: [{name: artifact, image: "tomcat:9.0"}]}`, annotations: "artifact=x:1",
			want: []string{`name_taken: container "artifact" has the name of the init container that would be injected; rename it, or ask with plainspec.dev/artifact.<another name>`},
		},
		"an ephemeral container has the name": {
			spec: `{containers: [{name: server, image: "tomcat:9.0"}], ephemeralContainers: [{name: artifact}]}`, annotations: "artifact=x:1",
			want: []string{`name_taken: container "artifact" has the name of the init container that would be injected; rename it, or ask with plainspec.dev/artifact.<another name>`},
		},
		"a volume has the name": {
			spec: `{containers: [{name: server, image: "tomcat:9.0"}], volumes: [{name: artifact, emptyDir: {medium: Memory}}]}`, annotations: "artifact=x:1",
			want: []string{`name_taken: volume "artifact" is not the one that would be injected; rename it, or ask with plainspec.dev/artifact.<another name>`},
		},
		"several things are in the way, of which the first is said": {
			spec: `{containers: [{name: server, image: "tomcat:9.0", volumeMounts: [{name: war, mountPath: /usr/local/tomcat/webapps}]}], volumes: [{name: artifact, emptyDir: {medium: Memory}}]}`, annotations: "artifact=x:1",
			want: []string{`name_taken: volume "artifact" is not the one that would be injected; rename it, or ask with plainspec.dev/artifact.<another name>`},
		},
		"two artifacts are one file of a hidden folder": {
			annotations: "artifact=a:1 artifact.b=b:1",
			want:        []string{"", `file_taken: plainspec.dev/artifact is copied to /usr/local/tomcat/webapps/sample.war of container "server", too; choose another profile with plainspec.dev/artifact-profile.b, or ask for one of them only`},
		},
		"two artifacts are one file of a folder that stays": {
			spec: `{containers: [{name: server, image: "example/tomcat:9.0"}]}`, annotations: "artifact.a=a:1 artifact.b=b:1 artifact-profile=tomcat-file",
			want: []string{"", `file_taken: plainspec.dev/artifact.a is copied to /webapps/ROOT.war of container "server", too; choose another profile with plainspec.dev/artifact-profile.b, or ask for one of them only`},
		},
		"the Pod is for another system": {
			spec: `{os: {name: windows}, containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=x:1",
			want: []string{`wrong_os: profile "tomcat" is for linux, and the Pod is for "windows" (spec.os.name); choose another one with plainspec.dev/artifact-profile`},
		},
		"the Pod selects nodes of another system": {
			spec: `{nodeSelector: {kubernetes.io/os: windows}, containers: [{name: server, image: "tomcat:9.0"}]}`, annotations: "artifact=x:1",
			want: []string{`wrong_os: profile "tomcat" is for linux, and the Pod is for "windows" (node selector kubernetes.io/os); choose another one with plainspec.dev/artifact-profile`},
		},
		"the Pod does not say that it is for Windows": {
			spec: `{containers: [{name: iis, image: "example/iis:1"}]}`, annotations: "artifact=x:1",
			want: []string{`wrong_os: profile "iis" is for windows, and the Pod does not say that it is; set its spec.os.name`},
		},
		"the copy is root's, the Pod is nobody's": {
			spec: `{securityContext: {runAsNonRoot: true}, containers: [{name: server, image: "example/root:1"}]}`, annotations: "artifact=x:1",
			want: []string{`privilege: profile "root" copies as root, and the Pod says runAsNonRoot: true; choose another profile with plainspec.dev/artifact-profile`},
		},
		"the copy is root's, the server is a user's": {
			spec: `{securityContext: {}, containers: [{name: server, image: "example/root:1", securityContext: {runAsUser: 1000}}]}`, annotations: "artifact=x:1",
			want: []string{`privilege: profile "root" copies as root, and container "server" says runAsUser: 1000; choose another profile with plainspec.dev/artifact-profile`},
		},
		"the Pod runs as a process of the host": {
			spec: `{os: {name: windows}, securityContext: {windowsOptions: {hostProcess: true}}, containers: [{name: iis, image: "example/iis:1"}]}`, annotations: "artifact=x:1",
			want: []string{`privilege: the Pod runs as a process of the host (windowsOptions.hostProcess), and so would the artifact's image; bring the artifact in another way`},
		},
		"several have problems of their own": {
			annotations: "artifact.a=x artifact.b=y:1 artifact.c=z:1 artifact-mode.c=magic",
			want: []string{
				`unversioned_artifact: x names no version; write one as its tag or digest, as in x:1.2.3, in plainspec.dev/artifact.a`,
				"",
				`unknown_mode: there is no mode "magic"; this version has "init"; correct plainspec.dev/artifact-mode.c`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.profiles == "" {
				tc.profiles = profiles
			}
			if tc.spec == "" {
				tc.spec = tomcat
			}
			parts, targets := planner(t, tc.profiles).Plan(podSpec(t, tc.spec), ask(t, tc.annotations))
			var got []string
			for _, target := range targets {
				if target.Problem == nil {
					got = append(got, "")
					continue
				}
				got = append(got, fmt.Sprintf("%s: %s", target.Problem.Code, target.Problem.Text))
				if target.Problem.Field != target.Asked.Field {
					t.Errorf("the problem is at %s, and the artifact at %s", target.Problem.Field, target.Asked.Field)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Parts{}, parts); diff != "" {
				t.Errorf("it is half-injected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooManyArtifacts(t *testing.T) {
	t.Parallel()
	spec := podSpec(t, `{containers: [{name: web, image: "example/web:1"}]}`)
	for count, want := range map[int]string{
		ArtifactsAtMost:     "",
		ArtifactsAtMost + 1: "the template asks for 17 artifacts, and at most 16 can be injected; pack some of them into one image",
	} {
		var annotations []string
		for i := range count {
			annotations = append(annotations, fmt.Sprintf("artifact.%d=example/pages:1", i))
		}
		parts, targets := planner(t, profiles).Plan(spec, ask(t, strings.Join(annotations, " ")))
		if len(targets) != count || len(parts.InitContainers) != count && want == "" {
			t.Fatalf("%d artifacts make %d targets and %d init containers", count, len(targets), len(parts.InitContainers))
		}
		for _, target := range targets {
			if got := target.Problem; (got == nil) != (want == "") || got != nil && (got.Text != want || got.Code != TooMany) {
				t.Errorf("of %d artifacts, %q has problem %v, want %q", count, target.Asked.Name, got, want)
			}
		}
	}
}

func TestArtifactsOfOneName(t *testing.T) {
	t.Parallel()
	asked := ask(t, "artifact=x:1")
	parts, targets := planner(t, profiles).Plan(podSpec(t, `{containers: [{name: server, image: "tomcat:9.0"}]}`), append(asked, asked...))
	if targets[0].Problem != nil || targets[1].Problem == nil || len(parts.InitContainers) > 0 {
		t.Fatalf("targets are %v", targets)
	}
	if diff := cmp.Diff("another annotation asks for an artifact of the same name; give it another one", targets[1].Problem.Text); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

func TestWhatIsThereAlreadyIsNoConflict(t *testing.T) {
	t.Parallel()
	p, asked := planner(t, profiles), ask(t, "artifact=geektime/sample:v2")
	spec := podSpec(t, `{initContainers: [{name: migrate, image: "migrate:1"}], containers: [{name: server, image: "tomcat:9.0", volumeMounts: [{name: opt, mountPath: /usr/local/tomcat}, {name: logs, mountPath: /usr/local/tomcat/logs}]}]}`)
	want, _ := p.Plan(spec, asked)
	if len(want.InitContainers) != 1 {
		t.Fatal("nothing is planned beside mounts above and beside the target")
	}
	for name, change := range map[string]func(spec *corev1.PodSpec){
		"the init container": func(spec *corev1.PodSpec) {
			c := want.InitContainers[0].DeepCopy()
			c.ImagePullPolicy, c.TerminationMessagePath = corev1.PullIfNotPresent, "/dev/termination-log"
			spec.InitContainers = append(spec.InitContainers, *c)
		},
		"the volume": func(spec *corev1.PodSpec) { spec.Volumes = want.Volumes },
		"the mount": func(spec *corev1.PodSpec) {
			spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, want.Mounts[0].Mounts...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := spec.DeepCopy()
			change(spec)
			got, targets := p.Plan(spec, asked)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s\n%v", diff, targets[0].Problem)
			}
		})
	}
}
