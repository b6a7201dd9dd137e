package validate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/policies"
)

// library is the built-in policies.
func library(t *testing.T) *policy.Set {
	t.Helper()
	set, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// completer has one profile, for Tomcat.
func completer(t *testing.T) *mutate.Completer {
	t.Helper()
	config := v1alpha1.Configuration{Completion: v1alpha1.Completion{Profiles: []v1alpha1.Profile{{
		Name: "tomcat", Match: v1alpha1.Match{Images: []string{"tomcat"}}, Source: "/sample.war", Target: "/webapps", HideTarget: true,
	}}}}
	v1alpha1.SetDefaults(&config)
	c, err := mutate.New(mutate.Options{Completion: config.Completion})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	asksV2 = `"plainspec.dev/artifact":"geektime/sample:v2"`
	asksV3 = `"plainspec.dev/artifact":"geektime/sample:v3"`
)

// manifest is a Pod, or what else has its template at the top of its spec, with annotations of the
// template and a server of an image; version is the artifact's that an init container brings, none
// if empty.
func manifest(kind, annotations, image, version string) []byte {
	containers := fmt.Sprintf(`"containers":[{"name":"server","image":%q}]`, image)
	if version != "" {
		containers = fmt.Sprintf(`"initContainers":[{"name":"own","image":"mirror.example.com/geektime/sample:%s","volumeMounts":[{"name":"v","mountPath":"/app"}]}],
			"containers":[{"name":"server","image":%q,"volumeMounts":[{"name":"v","mountPath":"/webapps"}]}],"volumes":[{"name":"v","emptyDir":{}}]`, version, image)
	}
	template := fmt.Sprintf(`"metadata":{"name":"p","annotations":{%s}},"spec":{%s}`, annotations, containers)
	if kind == "Pod" {
		return []byte("{" + template + "}")
	}
	return []byte(`{"metadata":{"name":"p"},"spec":{"template":{` + template + `}}}`)
}

// lost writes what inject.lost found as "mode: message", with "as before" where it was ratcheted.
func lost(d Decision) []string {
	var found []string
	for i := range d.Judgements {
		j := &d.Judgements[i]
		if j.Code != "inject.lost" {
			continue
		}
		mode := string(j.Mode)
		if j.Ratcheted {
			mode += " as before"
		}
		found = append(found, mode+" "+j.Field+": "+j.Text)
	}
	return found
}

func TestArtifactsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	const (
		tomcat     = "tomcat:9.0.1"
		pods       = `metadata.annotations["plainspec.dev/artifact"]: `
		templates  = "spec.template." + pods
		absent     = "no other container writes a volume that its server mounts, and no image volume is mounted there; Plainspec did not get to add it, or something took it out again: apply once more"
		v2         = "artifact geektime/sample:v2 is not in the Pod: "
		v3         = "artifact geektime/sample:v3 is not in the Pod: "
		recreate   = " that exists cannot be exchanged; delete it and apply it again: kubectl replace --force -f FILE"
		controlled = `"ownerReferences":[{"apiVersion":"%s","kind":"%s","name":"web","controller":true}],`
	)
	elsewhere := func(asks string) []byte {
		return []byte(strings.Replace(string(manifest("Pod", asks, tomcat, "v2")), "/webapps", "/other", 1))
	}
	owned := func(object []byte, apiVersion, kind string) []byte {
		return []byte(strings.Replace(string(object), `"name":"p"`, fmt.Sprintf(controlled, apiVersion, kind)+`"name":"p"`, 1))
	}
	deployment := func(operation string, object, old []byte) Request {
		return Request{Operation: operation, Group: "apps", Kind: "Deployment", Namespace: "team", Name: "p", User: "jane", Object: object, OldObject: old}
	}
	job := func(object, old []byte) Request {
		return Request{Operation: Update, Group: "batch", Kind: "Job", Namespace: "team", Name: "p", User: "jane", Object: object, OldObject: old}
	}
	r := reviewer(t, Options{Set: library(t), Completer: completer(t)})
	for name, tc := range map[string]struct {
		request Request
		want    []string
	}{
		"nothing is asked for": {create(manifest("Pod", "", tomcat, "")), nil},
		"it is there":          {create(manifest("Pod", asksV2, tomcat, "v2")), nil},
		"another cannot be injected, and so it is not either": {
			create(manifest("Pod", asksV2+`,"plainspec.dev/artifact.more":"geektime/more"`, tomcat, "")),
			[]string{
				"deny " + pods + v2 + "artifact geektime/more cannot be injected, and those of one Pod are injected together or not at all",
				`deny metadata.annotations["plainspec.dev/artifact.more"]: artifact geektime/more is not in the Pod: ` +
					"geektime/more names no version; write one as its tag or digest, as in geektime/more:1.2.3, in plainspec.dev/artifact.more",
			},
		},
		"it is not there":      {create(manifest("Pod", asksV2, tomcat, "")), []string{"deny " + pods + v2 + absent}},
		"it is somewhere else": {create(elsewhere(asksV2)), []string{"deny " + pods + v2 + `container "own" brings it to /other of container "server", which reads /webapps`}},
		"another version":      {create(elsewhere(asksV3)), []string{"deny " + pods + v3 + `container "own" brings another version, mirror.example.com/geektime/sample:v2; if Plainspec did not get to exchange it, apply once more`}},
		"it cannot be injected": {
			create(manifest("Pod", asksV2+`,"plainspec.dev/artifact-container":"gone"`, tomcat, "")),
			[]string{"deny " + pods + v2 + `the Pod has no main container and no native sidecar "gone"; it has "server" (tomcat); correct plainspec.dev/artifact-container`},
		},
		"a template without it":  {deployment(Create, manifest("Deployment", asksV2, tomcat, ""), nil), []string{"deny " + templates + v2 + absent}},
		"it was lost before":     {update(manifest("Pod", asksV2, tomcat, ""), manifest("Pod", asksV2, "tomcat:9.0.2", "")), []string{"warn as before " + pods + v2 + absent}},
		"a Pod asks for another": {update(manifest("Pod", asksV2, tomcat, "v2"), manifest("Pod", asksV3, tomcat, "v2")), []string{"deny " + pods + v3 + "the containers of a Pod" + recreate}},
		"a Job asks for another": {job(manifest("Job", asksV3, tomcat, "v2"), manifest("Job", asksV2, tomcat, "v2")), []string{"deny " + templates + v3 + "the containers of a Job" + recreate}},
		"a Pod asks for the first time": {
			update(manifest("Pod", "", tomcat, ""), manifest("Pod", asksV2, tomcat, "")), []string{"deny " + pods + v2 + "the containers of a Pod" + recreate},
		},
		"a Pod asks for what it has": {update(manifest("Pod", "", tomcat, "v2"), manifest("Pod", asksV2, tomcat, "v2")), nil},
		"another version than the one that was lost before": {
			deployment(Update, manifest("Deployment", asksV3, tomcat, ""), manifest("Deployment", asksV2, tomcat, "")), []string{"deny " + templates + v3 + absent},
		},
		"an operator's Deployment": {
			deployment(Create, owned(manifest("Deployment", asksV2, tomcat, ""), "example.com/v1", "Shop"), nil),
			[]string{"deny " + templates + v2 + "Shop web controls this Deployment, and what a controller makes is not completed; add the init container to what it makes it from"},
		},
		"a Pod that says it is a ReplicaSet's": {
			create(owned(manifest("Pod", asksV2, tomcat, ""), "apps/v1", "ReplicaSet")),
			[]string{"deny " + pods + v2 + "ReplicaSet web controls this Pod, and what a controller makes is not completed; add the init container to what it makes it from"},
		},
		"a Pod of an operator is completed": {create(owned(manifest("Pod", asksV2, tomcat, ""), "example.com/v1", "Shop")), []string{"deny " + pods + v2 + absent}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := r.Review(t.Context(), tc.request, day)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lost(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompletionFailsBeforeJudgement(t *testing.T) {
	t.Parallel()
	broken := []byte(strings.Replace(string(manifest("Pod", asksV2, "tomcat:9.0.1", "")), `"image"`, `"ports":[{"containerPort":"x"}],"image"`, 1))
	got := outcome(reviewer(t, Options{Set: library(t), Completer: completer(t)}).Review(t.Context(), create(broken), day))
	if want := "undecided, binding true"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	// Without a rule that reads artifacts, nobody looks where they would go.
	got = outcome(reviewer(t, Options{Completer: completer(t)}).Review(t.Context(), create(broken), day))
	if want := "admitted"; got != want {
		t.Errorf("outcome without rules about artifacts %q, want %q", got, want)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	asks := manifest("Pod", asksV2, "tomcat:9.0.1", "")
	for name, tc := range map[string]struct {
		request  Request
		want     mutate.Skip
		wantDone []string
	}{
		"a Pod":                       {create(asks), SkipNone, []string{mutate.Inject}},
		"a Pod that asks for nothing": {create(podJSON("a:1")), SkipNone, nil},
		"another kind":                {Request{Operation: Create, Kind: "Service", Object: []byte(`{}`)}, SkipKind, nil},
		"a deletion":                  {Request{Operation: "DELETE", Kind: "Pod", OldObject: asks}, SkipOperation, nil},
		"a subresource that is judged": {
			Request{Operation: Update, Kind: "Pod", SubResource: "ephemeralcontainers", Object: asks, OldObject: podJSON("a:1")}, SkipSubresource, nil,
		},
		"a Pod that exists": {update(podJSON("a:1"), asks), mutate.SkipFixed, nil},
		"an unrelated update": {
			Request{Operation: Update, Group: "apps", Kind: "Deployment", Object: manifest("Deployment", asksV2, "a:1", ""), OldObject: manifest("Deployment", asksV2, "a:1", "")},
			SkipUnchanged, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := reviewer(t, Options{Completer: completer(t)}).Complete(t.Context(), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			var done []string
			for _, d := range got.Done {
				done = append(done, d.What)
			}
			if got.Skipped != tc.want || !slices.Equal(done, tc.wantDone) {
				t.Errorf("skipped %q, done %q, want %q and %q", got.Skipped, done, tc.want, tc.wantDone)
			}
			if (len(got.Patch) > 0) != (len(tc.wantDone) > 0) {
				t.Errorf("patch %v, want one only if something is done", got.Patch)
			}
		})
	}
	if _, err := reviewer(t, Options{}).Complete(t.Context(), create([]byte(`{"spec":[]}`))); err == nil {
		t.Error("an object of another form is completed without an error")
	}
}

// TestWhatIsCompletedIsAdmitted holds completion and judgement together: what one puts in, the
// other finds, in every kind.
func TestWhatIsCompletedIsAdmitted(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{Set: library(t), Completer: completer(t)})
	for kind, group := range map[string]string{"Pod": "", "Deployment": "apps", "Job": "batch"} {
		request := Request{Operation: Create, Group: group, Kind: kind, User: "jane", Object: manifest(kind, asksV2, "tomcat:9.0.1", "")}
		result, err := r.Complete(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if request.Object, err = result.Apply(request.Object); err != nil {
			t.Fatal(err)
		}
		got := outcome(r.Review(t.Context(), request, day))
		if want := "admitted"; got != want {
			t.Errorf("%s: outcome %q, want %q: %s", kind, got, want, request.Object)
		}
	}
}
