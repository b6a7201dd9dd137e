package mutate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// propertyConfig has profiles of each sort, resources and labels.
const propertyConfig = `
apiVersion: config.plainspec.dev/v1alpha1
kind: Configuration
completion:
  profiles:
    - name: tomcat
      match: {servers: [tomcat]}
      source: /sample.war
      target: /opt/webapps
      hideTarget: true
    - name: folder
      match: {images: [nginx]}
      source: /site/
      target: /usr/share/nginx/html
      hideTarget: true
      readOnly: true
      init: {resources: {}, sizeLimit: 1Gi}
    - name: file
      match: {images: [shop/app]}
      source: /agent.jar
      rename: a.jar
      target: /opt/webapps
`

const propertyDefaults = `
  resources:
    templates: true
    classes:
      - main: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
        init: {limits: {memory: 32Mi}}
        sidecar: {requests: {cpu: 10m}}
  labels: {version: true, name: true, instance: true, values: {part-of: shop}}
`

// generator makes objects that are like those of users who meet Plainspec in every way: by asking,
// by using the names that it uses, by forging its records.
type generator struct{ *rand.Rand }

func (g generator) maybe() bool { return g.IntN(2) == 0 }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

type object = map[string]any

func (g generator) mounts() []any {
	var mounts []any
	for range g.IntN(3) {
		m := object{"name": g.one("artifact", "artifact-a", "data"), "mountPath": g.one("/opt/webapps", "/opt/webapps/x", "/data", "/usr/share/nginx/html", "/plainspec/artifact")}
		if g.maybe() {
			m["readOnly"] = true
		}
		mounts = append(mounts, m)
	}
	return mounts
}

func (g generator) container(name string) object {
	c := object{"name": name, "image": g.one("tomcat:10.1.30", "nginx:1.27.3", "shop/app:1.0.0", "busybox:1.36.1", "geektime/sample:v2")}
	if mounts := g.mounts(); mounts != nil || g.maybe() {
		c["volumeMounts"] = mounts
	}
	switch g.IntN(4) {
	case 0:
		c["resources"] = object{"requests": object{"cpu": "1", "memory": g.one("64Mi", "1Gi")}}
	case 1:
		c["resources"] = object{"limits": object{"memory": "128Mi"}}
	case 2:
		c["resources"] = object{}
	}
	if g.IntN(4) == 0 {
		c["fieldOfLater"] = object{"kubernetes": true}
	}
	return c
}

func (g generator) containers(most int, names ...string) []any {
	var list []any
	for range g.IntN(most + 1) {
		i := g.IntN(len(names))
		c := g.container(names[i])
		names = slices.Delete(slices.Clone(names), i, i+1)
		if g.IntN(4) == 0 {
			c["restartPolicy"] = "Always"
		}
		list = append(list, c)
	}
	return list
}

func (g generator) spec() object {
	inits := g.containers(3, "artifact", "artifact-a", "migrate", "seed")
	names := []string{"logs", "cache", "artifact"}
	if slices.ContainsFunc(inits, func(c any) bool { return c.(object)["name"] == "artifact" }) { //nolint:forcetypeassert // made above
		names = names[:2] // the API server refuses two of one name
	}
	spec := object{"containers": append(g.containers(2, names...), g.container("server"))}
	if inits != nil || g.maybe() {
		spec["initContainers"] = inits
	}
	var volumes []any
	for _, name := range []string{"artifact", "artifact-a", "data"} {
		if g.IntN(3) == 0 {
			volumes = append(volumes, object{"name": name, "emptyDir": object{}})
		}
	}
	if volumes != nil || g.maybe() {
		spec["volumes"] = volumes
	}
	switch g.IntN(5) {
	case 0:
		spec["securityContext"] = object{"runAsUser": g.IntN(2) * 1000}
	case 1:
		spec["resources"] = object{"requests": object{"memory": "2Gi"}}
	}
	return spec
}

func (g generator) metadata() object {
	metadata := object{}
	annotations, labels := object{}, object{}
	if g.IntN(4) > 0 {
		annotations["plainspec.dev/artifact"] = g.one("geektime/sample:v2", "geektime/sample:v3", "geektime/sample:v2", "geektime/sample", "no reference")
	}
	if g.IntN(3) == 0 {
		annotations["plainspec.dev/artifact.a"] = g.one("shop/a:1.0.0", "shop/a:2.0.0")
	}
	if g.IntN(4) == 0 {
		annotations["plainspec.dev/artifact-profile.a"] = g.one("file", "folder", "none")
	}
	if g.IntN(4) == 0 {
		annotations["plainspec.dev/artifact-container"] = "server"
	}
	if g.IntN(4) == 0 {
		annotations[annotation] = g.one("", "null", "{}", "[1]", `{"elements":{"initContainers/artifact":"00","volumes/data":"3f6051d90cdb532c"}}`,
			`{"labels":{"app":"web","app.kubernetes.io/version":"v1"},"resources":{"server":{"limits.memory":"128Mi","requests.cpu":"1","x":"y"}}}`)
	}
	if g.maybe() {
		labels["app"] = "web"
	}
	if g.IntN(3) == 0 {
		labels["app.kubernetes.io/version"] = g.one("v1", "v2")
	}
	for name, texts := range map[string]object{"annotations": annotations, "labels": labels} {
		if len(texts) > 0 || g.IntN(3) == 0 {
			metadata[name] = texts
		}
	}
	if g.IntN(8) == 0 {
		metadata["labels"] = nil
	}
	return metadata
}

// object makes an object of a kind.
func (g generator) object(kind kinds.Kind) object {
	template := object{"metadata": g.metadata(), "spec": g.spec()}
	top := template
	if kind.Template != kinds.TemplateSelf {
		if g.IntN(5) == 0 {
			delete(template, "metadata")
		}
		names := strings.Split(string(kind.Template), ".")
		for _, name := range slices.Backward(names) {
			top = object{name: top}
		}
		top["metadata"] = object{"name": "web"}
		if g.maybe() {
			top["metadata"] = g.metadata()
		}
	}
	return top
}

// edit changes an object as users and tools do between two completions.
func (g generator) edit(o object, kind kinds.Kind) {
	template := templateOf(o, kind)
	spec, _ := template["spec"].(object)
	metadata, _ := template["metadata"].(object)
	annotations, _ := metadata["annotations"].(object)
	switch g.IntN(7) {
	case 0:
		delete(annotations, "plainspec.dev/artifact")
	case 1:
		if annotations != nil {
			annotations["plainspec.dev/artifact"] = "geektime/sample:v4"
		}
	case 2:
		delete(annotations, annotation)
	case 3:
		list := g.one("initContainers", "volumes", "containers")
		if elements, _ := spec[list].([]any); len(elements) > 1 {
			i := g.IntN(len(elements))
			spec[list] = slices.Delete(elements, i, i+1)
		}
	case 4:
		inits, _ := spec["initContainers"].([]any)
		spec["initContainers"] = slices.Insert(inits, g.IntN(len(inits)+1), any(g.container("own"+strconv.Itoa(len(inits)))))
	case 5:
		if inits, _ := spec["initContainers"].([]any); len(inits) > 0 {
			if c, ok := inits[g.IntN(len(inits))].(object); ok {
				c["workingDir"] = "/tmp"
			}
		}
	case 6:
		if containers, _ := spec["containers"].([]any); len(containers) > 0 {
			if c, ok := containers[g.IntN(len(containers))].(object); ok {
				delete(c, "volumeMounts")
			}
		}
	}
}

func encode(tb testing.TB, value any) []byte {
	tb.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestProperties holds for some thousand completions of objects that are edited in between what must
// be true for each. PROPERTY_SEED repeats a run.
func TestProperties(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("PROPERTY_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	completers := []*mutate.Completer{completer(t, propertyConfig), completer(t, propertyConfig+propertyDefaults)}
	injected := 0
	for i := range 1000 { // three rounds each
		g := generator{rand.New(rand.NewPCG(seed, uint64(i)))}
		kind := kinds.All()[g.IntN(len(kinds.All()))]
		in := mutate.Input{Kind: kind, Namespace: "shop", Object: encode(t, g.object(kind))}
		c := completers[g.IntN(2)]
		for round := range 3 {
			if round > 0 {
				var edited object
				if err := json.Unmarshal(in.Object, &edited); err != nil {
					t.Fatal(err)
				}
				g.edit(edited, kind)
				in = mutate.Input{Kind: kind, Namespace: "shop", Update: !kind.Fixed, Old: in.Object, Object: encode(t, edited)}
			}
			result, completed := holdProperties(t, c, in)
			if t.Failed() {
				t.Fatalf("PROPERTY_SEED=%d, object %d, round %d (%s)\nbefore %s\nafter %s\npatch %s", seed, i, round, kind.Name, in.Object, completed, patchText(t, result.Patch))
			}
			if len(result.Done) > 0 && result.Done[0].What == mutate.Inject {
				injected++
			}
			in.Object = completed
		}
	}
	if injected < 100 { // a generator that makes nothing but conflicts tests nothing
		t.Errorf("only %d completions injected something (PROPERTY_SEED=%d)", injected, seed)
	}
}

// TestPropertiesOfRealManifests holds the same for the manifests of examples/, with and without an
// artifact asked for.
func TestPropertiesOfRealManifests(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	completers := []*mutate.Completer{completer(t, propertyConfig), completer(t, propertyConfig+propertyDefaults), completer(t, readFile(t, "../../examples/profiles.yaml"))}
	seen := 0
	for _, path := range paths {
		for document := range strings.SplitSeq(readFile(t, path), "\n---") {
			raw := jsonOf(t, document)
			decoded := tree(t, raw)
			version, _ := decoded["apiVersion"].(string)
			name, _ := decoded["kind"].(string)
			group, _, _ := strings.Cut(version, "/")
			kind, ok := kinds.Find(strings.TrimPrefix(group, "v1"), name)
			if !ok {
				continue
			}
			seen++
			for _, c := range completers {
				holdProperties(t, c, mutate.Input{Kind: kind, Object: raw})
				template := templateOf(decoded, kind)
				metadata, _ := template["metadata"].(object)
				metadata["annotations"] = object{"plainspec.dev/artifact": "geektime/sample:v2"}
				holdProperties(t, c, mutate.Input{Kind: kind, Object: encode(t, decoded)})
			}
		}
	}
	if seen < 6 {
		t.Errorf("only %d manifests were found", seen)
	}
}

// holdProperties completes an object and holds what must be true of each completion.
func holdProperties(t *testing.T, c *mutate.Completer, in mutate.Input) (mutate.Result, []byte) {
	t.Helper()
	result := complete(t, c, in)
	completed := apply(t, &result, in.Object)
	if second := complete(t, c, in); !bytes.Equal(encode(t, second), encode(t, result)) {
		t.Errorf("another run gives another result:\n%s\n%s", encode(t, second), encode(t, result))
	}
	again := in
	again.Object = completed
	if second := complete(t, c, again); len(second.Patch) > 0 {
		t.Errorf("the second patch is not empty: %s", patchText(t, second.Patch))
	}
	holdUsers(t, in, completed)
	object, err := workload.Decode(completed, in.Kind)
	if err != nil {
		t.Errorf("what was completed cannot be read: %v", err)
		return result, completed
	}
	holdWhole(t, c, in, object, completed, &result)
	holdOrigins(t, in, completed, &result)
	return result, completed
}

// holdWhole holds that all artifacts are injected or none, and that an injected container has no
// more rights than the restricted Pod Security Standard gives it.
func holdWhole(t *testing.T, c *mutate.Completer, in mutate.Input, object *workload.Object, completed []byte, result *mutate.Result) {
	t.Helper()
	if result.Skipped != mutate.SkipNone {
		if len(result.Patch) > 0 {
			t.Errorf("skipped as %s, and patched", result.Skipped)
		}
		return
	}
	before, after := templateOf(tree(t, in.Object), in.Kind), templateOf(tree(t, completed), in.Kind)
	problem := slices.ContainsFunc(result.Left, func(l mutate.Left) bool {
		return l.What == mutate.Inject && l.Reason != mutate.StrayAnnotation && l.Reason != mutate.Edited
	})
	if problem {
		if diff := cmp.Diff(elementsOf(before), elementsOf(after)); diff != "" {
			t.Errorf("something was injected or taken out beside a problem (-before +after):\n%s", diff)
		}
		return
	}
	record := recordOf(after)
	asked, _ := workload.NewReader().Asked(object)
	there := make(map[string]bool)
	spec, _ := after["spec"].(map[string]any)
	var typed corev1.PodSpec
	if err := json.Unmarshal(encode(t, spec), &typed); err != nil {
		t.Fatal(err)
	}
	for i := range typed.InitContainers {
		init := &typed.InitContainers[i]
		if hash := inject.HashContainer(init); hash == record.Elements["initContainers/"+init.Name] {
			there["initContainers/"+init.Name] = true
			holdRestricted(t, init.SecurityContext)
		}
		for j := range init.VolumeMounts {
			m := &init.VolumeMounts[j]
			there["mounts/"+init.Name+"/"+m.Name+"@"+m.MountPath] = true
		}
	}
	for i := range typed.Volumes {
		there["volumes/"+typed.Volumes[i].Name] = true
	}
	for i := range typed.Containers {
		for j := range typed.Containers[i].VolumeMounts {
			m := &typed.Containers[i].VolumeMounts[j]
			there["mounts/"+typed.Containers[i].Name+"/"+m.Name+"@"+m.MountPath] = true
		}
	}
	for key := range record.Elements {
		if !there[key] {
			t.Errorf("%s is recorded and not there", key)
		}
	}
	for i := range asked {
		name := "artifact"
		if asked[i].Name != "" {
			name += "-" + asked[i].Name
		}
		if !there["initContainers/"+name] {
			t.Errorf("artifact %s is not there, and nothing is said", asked[i].Value)
		}
	}
	in.Object = completed
	targets, err := c.Targets(object, in)
	if err != nil || len(targets) != len(asked) {
		t.Errorf("%d targets for %d artifacts, %v", len(targets), len(asked), err)
	}
	for i := range targets {
		if targets[i].Problem != nil {
			t.Errorf("a problem with what was injected: %s", targets[i].Problem.Text)
		}
	}
}

func elementsOf(template map[string]any) []any {
	spec, _ := template["spec"].(map[string]any)
	found := []any{spec["volumes"]}
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			container, _ := c.(map[string]any)
			container = maps.Clone(container)
			delete(container, "resources")
			found = append(found, container)
		}
	}
	return found
}

func holdRestricted(t *testing.T, s *corev1.SecurityContext) {
	t.Helper()
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.RunAsNonRoot == nil || !*s.RunAsNonRoot ||
		s.Capabilities == nil || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
		s.Privileged != nil || s.RunAsUser != nil && *s.RunAsUser == 0 || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("an injected container is not restricted: %v", s)
	}
}

// holdOrigins holds that each init container is found again at the index that it is said to have had.
func holdOrigins(t *testing.T, in mutate.Input, completed []byte, result *mutate.Result) {
	t.Helper()
	names := func(raw []byte) []string {
		spec, _ := templateOf(tree(t, raw), in.Kind)["spec"].(map[string]any)
		containers, _ := spec["initContainers"].([]any)
		var names []string
		for _, c := range containers {
			container, _ := c.(map[string]any)
			names = append(names, fmt.Sprint(container["name"]))
		}
		return names
	}
	before, after := names(in.Object), names(completed)
	if result.InitContainers == nil {
		if !slices.Equal(before, after) {
			t.Errorf("init containers were %q and are %q, and no index is said to have changed", before, after)
		}
		return
	}
	if len(result.InitContainers) != len(after) {
		t.Errorf("%d indices for %d init containers", len(result.InitContainers), len(after))
		return
	}
	for i, origin := range result.InitContainers {
		if origin >= 0 && (origin >= len(before) || before[origin] != after[i]) {
			t.Errorf("init container %q was not at index %d", after[i], origin)
		}
	}
}
