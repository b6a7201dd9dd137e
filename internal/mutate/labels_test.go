package mutate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

const (
	versionKey   = "app.kubernetes.io/version"
	nameKey      = "app.kubernetes.io/name"
	instanceKey  = "app.kubernetes.io/instance"
	managedByKey = "app.kubernetes.io/managed-by"
	partOfKey    = "app.kubernetes.io/part-of"

	atImage = "spec.template.spec.containers[0].image"
	atLabel = `spec.template.metadata.labels["app.kubernetes.io/version"]`
)

func TestCompleteLabels(t *testing.T) {
	t.Parallel()
	all := &v1alpha1.Labels{
		Version: true, Name: true, Instance: true, Values: map[string]string{"component": "web", "part-of": "shop", "managed-by": "plainspec"},
	}
	onlyVersion := &v1alpha1.Labels{Version: true}
	managed := &v1alpha1.Labels{Values: map[string]string{"managed-by": "plainspec", "part-of": "shop"}}
	for title, tc := range map[string]struct {
		labels           *v1alpha1.Labels
		kind             string // Deployment if empty
		input            labelInput
		object, template map[string]string
		left             []Left
	}{
		"nothing is set without configuration": {input: labelInput{Name: "shop", Application: app("v2")}},
		"nothing is set by an empty one":       {labels: &v1alpha1.Labels{}, input: labelInput{Name: "shop", Application: app("v2")}},
		"the version is set on both, all others on the object only": {
			labels: all, input: labelInput{Name: "shop-1", Application: app("v2")},
			object: map[string]string{
				versionKey: "v2", nameKey: "sample", instanceKey: "shop-1", managedByKey: "plainspec", partOfKey: "shop", "app.kubernetes.io/component": "web",
			},
			template: map[string]string{versionKey: "v2"},
		},
		"a Pod gets its version only, since others select it by the rest": {
			labels: all, kind: "Pod", input: labelInput{Name: "shop-1", Application: app("v2")},
			template: map[string]string{versionKey: "v2"},
		},
		"a Pod's own version stays": {
			labels: all, kind: "Pod",
			input: labelInput{Name: "shop-1", Application: app("v2"), Labels: map[string]string{versionKey: "v1"}, TemplateLabels: map[string]string{versionKey: "v1"}},
		},
		"labels that are there stay, also empty ones": {
			labels: all,
			input: labelInput{
				Name: "shop-1", Application: app("v2"), TemplateLabels: map[string]string{versionKey: ""},
				Labels: map[string]string{versionKey: "v1", nameKey: "", instanceKey: "mine", managedByKey: "me", partOfKey: "x", "app.kubernetes.io/component": "y"},
			},
		},
		"a version that only the template has is set on the object": {
			labels: onlyVersion, input: labelInput{Application: app("v2"), TemplateLabels: map[string]string{versionKey: "v2"}},
			object: map[string]string{versionKey: "v2"},
		},
		"a version that only the object has is set on the template": {
			labels: onlyVersion, input: labelInput{Application: app("v2"), Labels: map[string]string{versionKey: "v2"}},
			template: map[string]string{versionKey: "v2"},
		},
		"an instance needs a name that is known": {
			labels: &v1alpha1.Labels{Instance: true}, input: labelInput{},
		},
		"Helm's objects keep what manages them, by their chart": {
			labels: managed, input: labelInput{Labels: map[string]string{"helm.sh/chart": "shop-1.0.0"}},
			object: map[string]string{partOfKey: "shop"},
		},
		"Helm's objects keep what manages them, by their release": {
			labels: managed, input: labelInput{Annotations: map[string]string{"meta.helm.sh/release-name": "shop"}},
			object: map[string]string{partOfKey: "shop"},
		},
		"a moving tag is no version": {
			labels: &v1alpha1.Labels{Version: true, Name: true}, input: labelInput{Application: app("stable")},
			object: map[string]string{nameKey: "sample"},
		},
		"no version is no version": {labels: onlyVersion, input: labelInput{Application: app("")}},
		"a digest cannot be a label": {
			labels: onlyVersion, input: labelInput{Application: app("sha256:" + strings.Repeat("a", 64))},
			left: []Left{{
				What: Labels, Reason: InvalidLabel, Field: atLabel,
				Text: "label app.kubernetes.io/version is not set: the version at " + atImage +
					" is only a digest, which no label can hold: add a tag to the reference, or set the label",
			}},
		},
		"a tag of 63 characters can": {
			labels: onlyVersion, input: labelInput{Application: app(strings.Repeat("1", 63))},
			object: map[string]string{versionKey: strings.Repeat("1", 63)}, template: map[string]string{versionKey: strings.Repeat("1", 63)},
		},
		"a longer tag cannot": {
			labels: onlyVersion, input: labelInput{Application: app(strings.Repeat("1", 64))},
			left: []Left{{
				What: Labels, Reason: InvalidLabel, Field: atLabel,
				Text: "label app.kubernetes.io/version is not set: the version at " + atImage + " has 64 characters, and a label at most 63: set the label",
			}},
		},
		"a tag that ends with a dash cannot": {
			labels: onlyVersion, input: labelInput{Application: app("v1-")},
			left: []Left{{
				What: Labels, Reason: InvalidLabel, Field: atLabel,
				Text: "label app.kubernetes.io/version is not set: the version at " + atImage +
					` is "v1-", and a label is of letters, digits, "-", "_" and ".", the first and the last a letter or a digit: set the label`,
			}},
		},
		"a long name of the object is no instance": {
			labels: &v1alpha1.Labels{Instance: true}, input: labelInput{Name: strings.Repeat("a", 70)},
			left: []Left{{
				What: Labels, Reason: InvalidLabel, Field: `metadata.labels["app.kubernetes.io/instance"]`,
				Text: "label app.kubernetes.io/instance is not set: the object's name has 70 characters, and a label at most 63: set the label",
			}},
		},
		"a file's name may be no label": {
			labels: &v1alpha1.Labels{Name: true}, input: labelInput{Application: &workload.Component{Name: `"my app.war"`}},
			left: []Left{{
				What: Labels, Reason: InvalidLabel, Field: `metadata.labels["app.kubernetes.io/name"]`,
				Text: `label app.kubernetes.io/name is not set: the application's name is "\"my app.war\"", and a label is of letters, digits, "-", "_" and ".", ` +
					"the first and the last a letter or a digit: set the label",
			}},
		},
		"several applications have no version": {
			labels: all, input: labelInput{Name: "shop-1", ApplicationProblem: "the Pod runs two applications, a v1 and b v2; set the label"},
			object: map[string]string{instanceKey: "shop-1", managedByKey: "plainspec", partOfKey: "shop", "app.kubernetes.io/component": "web"},
			left: []Left{{
				What: Labels, Reason: UnknownVersion, Field: atLabel,
				Text: "label app.kubernetes.io/version is not set: the Pod runs two applications, a v1 and b v2; set the label",
			}},
		},
		"nobody asks for the version of several applications if both labels are there": {
			labels: onlyVersion,
			input: labelInput{
				ApplicationProblem: "the Pod runs two applications, a v1 and b v2; set the label",
				Labels:             map[string]string{versionKey: "v1"}, TemplateLabels: map[string]string{versionKey: "v1"},
			},
		},
		"no application has no version, and that is no problem": {labels: all, kind: "Pod", input: labelInput{Name: "shop-1"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			tc.input.Kind = kindOf(t, tc.kind)
			object, template, left := completeLabels(tc.labels, tc.input)
			for what, pair := range map[string][2]any{
				"object": {tc.object, object}, "template": {tc.template, template}, "left": {tc.left, left},
			} {
				if diff := cmp.Diff(pair[0], pair[1], cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// app is an application of a version that a Deployment runs.
func app(version string) *workload.Component {
	return &workload.Component{Name: "sample", Role: workload.RoleApplication, Version: version, Field: atImage}
}

// kindOf is the row of a kind, a Deployment's if it is empty.
func kindOf(t *testing.T, name string) kinds.Kind {
	t.Helper()
	group := ""
	if name == "" {
		group, name = "apps", "Deployment"
	}
	kind, ok := kinds.Find(group, name)
	if !ok {
		t.Fatalf("no kind %q", name)
	}
	return kind
}
