package workload

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
)

// read returns all facts of a manifest.
func read(t *testing.T, group, kind, manifest string) *Workload {
	t.Helper()
	return NewReader().Read(decoded(t, group, kind, manifest), AllGroups())
}

// mounts writes each mount as "class container:path source".
func mounts(w *Workload) []string {
	var out []string
	for _, class := range []string{ClassImage, ClassDeclared, ClassFilled, ClassOpaque, ClassConfig, ClassPlatform, ClassScratch} {
		for _, m := range *w.Mounts.group(class) {
			out = append(out, fmt.Sprintf("%s %s:%s %s", class, m.Container, m.Path, m.Source))
		}
	}
	return out
}

func pod(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n" + spec
}

func TestVolumeClasses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ volume, want string }{
		"a claim":                              {"persistentVolumeClaim: {claimName: data}", "opaque c:/m persistentVolumeClaim data"},
		"a generic ephemeral claim":            {"ephemeral: {volumeClaimTemplate: {spec: {}}}", "opaque c:/m ephemeral"},
		"a host's folder":                      {"hostPath: {path: /mnt}", "opaque c:/m hostPath /mnt"},
		"nfs":                                  {"nfs: {server: files, path: /www}", "opaque c:/m nfs files:/www"},
		"a disk driver":                        {"flexVolume: {driver: alicloud/disk, options: {volumeId: d-1}}", "opaque c:/m flexVolume alicloud/disk"},
		"a source that does not exist yet":     {"holographic: {crystals: [1, 2]}", "opaque c:/m holographic"},
		"a source with fields of other types":  {"flexVolume: {driver: 7, options: [1]}", "opaque c:/m flexVolume"},
		"a driver that is told a download":     {"flexVolume: {driver: a/war, options: {downloadURL: 'https://x.y/v2/a.war'}}", "declared c:/m flexVolume a/war"},
		"a driver that is told an image":       {"csi: {driver: csi-image, volumeAttributes: {image: 'a/b:1'}}", "declared c:/m csi csi-image"},
		"a driver that is told a server only":  {"csi: {driver: csi-s3, volumeAttributes: {endpoint: 'https://s3.example.com/bucket'}}", "opaque c:/m csi csi-s3"},
		"a git repository":                     {"gitRepo: {repository: 'https://u:p@git.example.com/a.git', revision: v1}", "declared c:/m gitRepo https://git.example.com/a.git"},
		"an image":                             {"image: {reference: 'a/b:1'}", "image c:/m image a/b:1"},
		"a ConfigMap":                          {"configMap: {name: settings}", "config c:/m configMap settings"},
		"a Secret":                             {"secret: {secretName: keys}", "config c:/m secret keys"},
		"the downward API":                     {"downwardAPI: {items: []}", "platform c:/m downwardAPI"},
		"tokens":                               {"projected: {sources: [{serviceAccountToken: {path: t}}]}", "platform c:/m projected"},
		"tokens and a ConfigMap":               {"projected: {sources: [{serviceAccountToken: {}}, {configMap: {name: a}}]}", "config c:/m projected"},
		"tokens and the cluster's certificate": {"projected: {sources: [{serviceAccountToken: {}}, {configMap: {name: kube-root-ca.crt}}]}", "platform c:/m projected"},
		"an emptyDir":                          {"emptyDir: {}", "scratch c:/m emptyDir"},
		"no source":                            {"", "scratch c:/m emptyDir"},
		"a source that is null":                {"emptyDir: null", "scratch c:/m emptyDir"},
		"null beside the source":               {"emptyDir: null, hostPath: {path: /a}", "opaque c:/m hostPath /a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volume := strings.TrimSuffix("{name: v, "+tc.volume, ", ") + "}"
			w := read(t, "", "Pod", pod("  containers: [{name: c, image: a, volumeMounts: [{name: v, mountPath: /m}]}]\n  volumes: ["+volume+"]"))
			if diff := cmp.Diff([]string{tc.want}, mounts(w)); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilledOrScratch(t *testing.T) {
	t.Parallel()
	const mount = "volumeMounts: [{name: v, mountPath: /m}]"
	for name, tc := range map[string]struct{ containers, want string }{
		"nobody else mounts it":           {"containers: [{name: c, " + mount + "}]", ClassScratch},
		"an init container can write it":  {"initContainers: [{name: i, " + mount + "}]\n  containers: [{name: c, " + mount + "}]", ClassFilled},
		"another one reads it only":       {"containers: [{name: c, " + mount + "}, {name: d, volumeMounts: [{name: v, mountPath: /m, readOnly: true}]}]", ClassScratch},
		"its own hook may write":          {"containers: [{name: c, lifecycle: {postStart: {exec: {command: [touch, /m/x]}}}, " + mount + "}]", ClassFilled},
		"its own script downloads":        {"containers: [{name: c, command: [sh, -c, 'git clone x /m && run'], " + mount + "}]", ClassFilled},
		"its own script only starts it":   {"containers: [{name: c, command: [sh, -c, 'exec /m/run'], " + mount + "}]", ClassScratch},
		"mounted twice by one container":  {"containers: [{name: c, volumeMounts: [{name: v, mountPath: /m}, {name: v, mountPath: /n}]}]", ClassScratch},
		"a debugging container writes it": {"containers: [{name: c, " + mount + "}]\n  ephemeralContainers: [{name: e, " + mount + "}]", ClassFilled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := read(t, "", "Pod", pod("  "+tc.containers+"\n  volumes: [{name: v, emptyDir: {}}]"))
			group := *w.Mounts.group(tc.want)
			found := false
			for _, m := range group {
				found = found || m.Container == "c"
			}
			if !found {
				t.Errorf("container c's mount is not %s: %q", tc.want, mounts(w))
			}
		})
	}
}

func TestMountFacts(t *testing.T) {
	t.Parallel()
	w := read(t, "", "Pod", pod(`
  containers:
  - name: c
    image: geektime/tomcat:7.0
    command: [java, -jar, /data/app/a.jar]
    workingDir: /data
    volumeMounts:
    - {name: v, mountPath: /data/, subPath: s, readOnly: true}
    - {name: w, mountPath: /data/app}
    - {name: missing, mountPath: /x}
  volumes:
  - {name: v, persistentVolumeClaim: {claimName: claim}}
  - {name: w, persistentVolumeClaim: {claimName: other}}`))
	want := []Mount{{
		Container: "c", Role: RoleMain, Image: "tomcat", Repository: "geektime/tomcat", Path: "/data", Segments: []string{"data"}, Words: []string{"data"}, Field: "spec.containers[0].volumeMounts[0]",
		Volume: "v", Type: "persistentVolumeClaim", Source: "persistentVolumeClaim claim", Target: "claim", SubPath: "s", ReadOnly: true,
		References: []Reference{{Kind: ReferenceWorkingDir, Field: "spec.containers[0].command[0]", Path: "/data", Verb: "java"}},
	}, {
		Container: "c", Role: RoleMain, Image: "tomcat", Repository: "geektime/tomcat", Path: "/data/app", Above: []string{"/data"}, Segments: []string{"data", "app"}, Words: []string{"data", "app"},
		Field: "spec.containers[0].volumeMounts[1]", Volume: "w", Type: "persistentVolumeClaim", Source: "persistentVolumeClaim other", Target: "other",
		References: []Reference{{Kind: ReferenceCommand, Field: "spec.containers[0].command[2]", Path: "/data/app/a.jar", Verb: "java", Flag: "-jar", Position: 1}},
	}}
	if diff := cmp.Diff(want, w.Mounts.Opaque); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestWhereTemplatesStand(t *testing.T) {
	t.Parallel()
	const template = "{metadata: {labels: {app.kubernetes.io/version: v1}}, spec: {initContainers: [{name: i, image: 'a:1', restartPolicy: Always}], containers: [{name: c, image: b}]}}"
	for kind, tc := range map[string]struct{ group, manifest, field string }{
		"Pod":         {"", pod("  initContainers: [{name: i, image: 'a:1', restartPolicy: Always}]\n  containers: [{name: c, image: b}]"), "spec.containers[0].image"},
		"Deployment":  {"apps", "spec: {template: " + template + "}", "spec.template.spec.containers[0].image"},
		"CronJob":     {"batch", "spec: {jobTemplate: {spec: {template: " + template + "}}}", "spec.jobTemplate.spec.template.spec.containers[0].image"},
		"PodTemplate": {"", "template: " + template, "template.spec.containers[0].image"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := read(t, tc.group, kind, tc.manifest)
			if len(w.Images.Untagged) != 1 || w.Images.Untagged[0].Field != tc.field {
				t.Errorf("untagged images %+v, want one at %s", w.Images.Untagged, tc.field)
			}
			if len(w.Images.Tagged) != 1 || w.Images.Tagged[0].Role != RoleSidecar {
				t.Errorf("tagged images %+v, want one of a sidecar", w.Images.Tagged)
			}
			if kind != "Pod" && (len(w.Labels) != 1 || !strings.HasSuffix(w.Labels[0].Field, `metadata.labels["app.kubernetes.io/version"]`)) {
				t.Errorf("labels %+v, want the template's", w.Labels)
			}
		})
	}
}

func TestClaimTemplatesAreVolumes(t *testing.T) {
	t.Parallel()
	w := read(t, "apps", "StatefulSet", `
spec:
  volumeClaimTemplates: [{metadata: {name: www}}]
  template: {spec: {containers: [{name: c, image: a, volumeMounts: [{name: www, mountPath: /usr/share/nginx/html}]}]}}`)
	if diff := cmp.Diff([]string{"opaque c:/usr/share/nginx/html volumeClaimTemplate www"}, mounts(w)); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestOnlyWantedGroupsAreMade(t *testing.T) {
	t.Parallel()
	raw, err := yaml.YAMLToJSON([]byte(pod("  containers: [{name: c, image: a, volumeMounts: [{name: v, mountPath: /m}]}]\n  volumes: [{name: v, hostPath: {path: /}}]")))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := kinds.Find("", "Pod")
	object, err := Decode(raw, kind)
	if err != nil {
		t.Fatal(err)
	}
	w := NewReader().Read(object, Groups{Opaque: true})
	if len(w.Mounts.Opaque) != 1 || len(w.Images.Untagged) != 0 {
		t.Errorf("got %+v and %+v, want the opaque mount alone", w.Mounts, w.Images)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	kind, _ := kinds.Find("", "Pod")
	for name, raw := range map[string]string{
		"no JSON":             `{`,
		"containers no list":  `{"spec":{"containers":{}}}`,
		"an image no string":  `{"spec":{"containers":[{"image":7}]}}`,
		"a volume no object":  `{"spec":{"volumes":["a"]}}`,
		"a field given twice": `{"spec":{"containers":[{"image":"a","image":"b"}]}}`,
		"text after the end":  `{} {}`,
	} {
		if _, err := Decode([]byte(raw), kind); err == nil {
			t.Errorf("%s: decoded without an error", name)
		}
	}
	if _, err := Decode([]byte(`{"spec":null,"metadata":null}`), kind); err != nil {
		t.Errorf("an empty object: %v", err)
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	kind, _ := kinds.Find("", "Pod")
	object, err := Decode([]byte(`{"metadata":{"generateName":"web-","ownerReferences":[
		{"apiVersion":"v1","kind":"Node","name":"n"},{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"u","controller":true}]}}`), kind)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := object.Owner()
	if want := (Owner{Group: "apps", Kind: "ReplicaSet", Name: "web", UID: "u"}); !ok || owner != want {
		t.Errorf("Owner() = %+v, %v, want %+v", owner, ok, want)
	}
	if got := object.Name(); got != "web-*" {
		t.Errorf("Name() = %q, want the generated name's prefix", got)
	}
	core, err := Decode([]byte(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ReplicationController","name":"web","controller":true}]}}`), kind)
	if err != nil {
		t.Fatal(err)
	}
	if owner, _ := core.Owner(); owner.Group != "" {
		t.Errorf("group of a core owner = %q, want none", owner.Group)
	}
}

func TestSameTemplate(t *testing.T) {
	t.Parallel()
	deployment, _ := kinds.Find("apps", "Deployment")
	const old = `{"metadata":{"labels":{"a":"1"}},"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"c"}]}}}}`
	for name, tc := range map[string]struct {
		raw  string
		want bool
	}{
		"other labels and replicas":      {`{"metadata":{"labels":{"a":"2"}},"spec":{"replicas":9,"template":{"spec":{"containers":[{"name":"c"}]}}}}`, true},
		"another template":               {`{"spec":{"template":{"spec":{"containers":[{"name":"d"}]}}}}`, false},
		"a template of the same name":    {`{"template":{"spec":{"containers":[{"name":"c"}]}},"spec":{}}`, false},
		"other labels in the template":   {`{"spec":{"template":{"metadata":{"labels":{"x":"y"}},"spec":{"containers":[{"name":"c"}]}}}}`, false},
		"a member of that name inside":   {`{"metadata":{"annotations":{"spec":"x"}},"spec":{"selector":{"template":1},"template":{"spec":{"containers":[{"name":"c"}]}}}}`, true},
		"the template's order of fields": {`{"spec":{"template":{"spec":{"containers":[{"name":"c"}]},"metadata":{}}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := SameTemplate([]byte(tc.raw), []byte(old), deployment)
			if err != nil || got != tc.want {
				t.Errorf("SameTemplate = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	if _, err := SameTemplate([]byte(`{"spec":`), []byte(old), deployment); err == nil {
		t.Error("a cut object is compared without an error")
	}
}

func TestSameTemplateOfAPod(t *testing.T) {
	t.Parallel()
	pod, _ := kinds.Find("", "Pod")
	object := func(annotations string) []byte {
		return []byte(`{"metadata":{"annotations":` + annotations + `},"spec":{"containers":[{"name":"c"}]}}`)
	}
	const asked = `"plainspec.dev/artifact":"a:2"`
	for name, tc := range map[string]struct {
		raw, old string
		want     bool
	}{
		"other annotations":             {`{"a":"1",` + asked + `}`, `{` + asked + `,"b":"2","plainspec.dev/injected":"{}"}`, true},
		"the first annotation":          {`{"a":"1"}`, `null`, true},
		"another artifact":              {`{"plainspec.dev/artifact":"a:3"}`, `{` + asked + `}`, false},
		"one artifact more":             {`{` + asked + `,"plainspec.dev/artifact.web":"a:2"}`, `{` + asked + `}`, false},
		"an artifact taken away":        {`{}`, `{` + asked + `}`, false},
		"another choice":                {`{` + asked + `,"plainspec.dev/artifact-mode":"init"}`, `{` + asked + `}`, false},
		"annotations that are none":     {`[]`, `{` + asked + `}`, false},
		"old annotations that are none": {`{` + asked + `}`, `[]`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := SameTemplate(object(tc.raw), object(tc.old), pod)
			if err != nil || got != tc.want {
				t.Errorf("SameTemplate = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	if same, err := SameTemplate([]byte(`{"spec":{"containers":[{"name":"c"}]}}`), object(`{"a":"1"}`), pod); err != nil || !same {
		t.Errorf("SameTemplate without metadata = %v, %v, want the same", same, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"spec":{"containers":[{"name":"c","image":"a","volumeMounts":[{"name":"v","mountPath":"/m"}]}],"volumes":[{"name":"v","csi":{"driver":"d"}}]}}`))
	kind, _ := kinds.Find("", "Pod")
	f.Fuzz(func(t *testing.T, raw []byte) {
		object, err := Decode(raw, kind)
		if err != nil {
			return
		}
		w := NewReader().Read(object, AllGroups())
		w.Components()
		w.AddArtifacts([]Destination{{}, {Container: "c"}})
		if same, err := SameTemplate(raw, raw, kind); err != nil || !same {
			t.Errorf("an object differs from itself: %v, %v", same, err)
		}
	})
}

func TestKnownVolumes(t *testing.T) {
	t.Parallel()
	kind, _ := kinds.Find("", "Pod")
	raw, err := yaml.YAMLToJSON([]byte(pod(`
  initContainers: [{name: i, image: team/git-sync, args: [/Out/My-Dir/A.War/x], volumeMounts: [{name: my_src1, mountPath: /Out/My-Dir/A.War}]}]
  containers:
  - {name: c, image: b, command: [/in/run, /in/x], env: [{name: CLASSPATH, value: /in}], volumeMounts: [{name: my_src1, mountPath: /in, readOnly: true}]}
  - {name: d, image: e, workingDir: /other, volumeMounts: [{name: other, mountPath: /other}]}
  volumes: [{name: my_src1, hostPath: {path: /mnt/www/x-y2}}, {name: other, hostPath: {path: /}}]`)))
	if err != nil {
		t.Fatal(err)
	}
	object, err := Decode(raw, kind)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{
		"/in": 2, "/Out/My-Dir/A.War": 2, "/Out": 2, "Out/": 2, "My-Dir/": 2, ".war": 2, "-www/x-y": 0, "-y": 2, "image:git-sync": 2, "image:b": 2,
		"command:": 2, "command:0": 2, "command:run": 2, "env:CLASSPATH": 2, "workingDir:": 1, "image:e": 1,
		"Out": 0, "src": 0, "/": 0, "image:team/git-sync": 0, "a.war": 0, "my-dir/": 0, "": 0,
	} {
		w := NewReader().Read(object, Groups{Known: true, Index: Index{Mounts: map[string]bool{key: true}}})
		if got := len(w.Mounts.Known); got != want || len(w.Mounts.Opaque) != 0 {
			t.Errorf("an index of %q knows %d mounts, want %d", key, got, want)
		}
	}
}

func TestKnownNames(t *testing.T) {
	t.Parallel()
	index := Index{Names: map[string]bool{"code": true, "src": true, "my": false, "pvc": false}}
	for name, want := range map[string]bool{
		"code": true, "my-code": true, "My_Src.pvc-2": true, "src1": true, "code-data": false, "my-pvc": false, "": false, "2": false, "codes": false,
	} {
		if got := index.knowsName(name); got != want {
			t.Errorf("knowsName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestWordsAndEnding(t *testing.T) {
	t.Parallel()
	w := read(t, "", "Pod", pod("  containers: [{name: c, image: a, volumeMounts: [{name: my_App.code, mountPath: /Srv/user-uploads/ROOT.War}]}]\n  volumes: [{name: my_App.code, hostPath: {path: /mnt/www-1}}]"))
	m := w.Mounts.Opaque[0]
	want := [][]string{{"srv", "user", "uploads", "root", "war"}, {"war"}}
	if diff := cmp.Diff(want, [][]string{m.Words, {m.Ending}}); diff != "" {
		t.Errorf("words and ending (-want +got):\n%s", diff)
	}
}

func TestImageGroups(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("a", 64)
	for image, group := range map[string]func(*Images) []Image{
		"nginx":                func(i *Images) []Image { return i.Untagged },
		"nginx:1.27.3":         func(i *Images) []Image { return i.Exact },
		"nginx:v1.27.3":        func(i *Images) []Image { return i.Exact },
		"nginx:1.27":           func(i *Images) []Image { return i.Tagged },
		"nginx:stable":         func(i *Images) []Image { return i.Tagged },
		"nginx:1.27.3-rc":      func(i *Images) []Image { return i.Tagged },
		"nginx" + digest:       func(i *Images) []Image { return i.Pinned },
		"nginx:1.2.3" + digest: func(i *Images) []Image { return i.Pinned },
		"not an image":         func(i *Images) []Image { return i.Invalid },
	} {
		w := read(t, "", "Pod", pod("  containers: [{name: c, image: '"+image+"'}]"))
		if got := group(&w.Images); len(got) != 1 || len(w.Images.All) != 1 {
			t.Errorf("groups of %q: %+v", image, w.Images)
		}
	}
}
