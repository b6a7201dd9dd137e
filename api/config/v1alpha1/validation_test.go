package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.Configuration)
		want   []string
	}{
		"the default is valid": {change: func(*v1alpha1.Configuration) {}},
		"each enforcement and mode is valid": {
			change: func(c *v1alpha1.Configuration) {
				c.Enforcement = v1alpha1.EnforcementWarn
				c.Rules = map[string]v1alpha1.RuleConfiguration{
					"a.b":    {Mode: v1alpha1.ModeDeny},
					"a.c":    {Mode: v1alpha1.ModeWarn},
					"a.d":    {Mode: v1alpha1.ModeAudit},
					"a2.e_f": {Mode: v1alpha1.ModeOff},
				}
			},
		},
		"an unknown enforcement lists the known ones": {
			change: func(c *v1alpha1.Configuration) { c.Enforcement = "block" },
			want:   []string{`enforcement: Unsupported value: "block": supported values: "observe", "warn", "enforce"`},
		},
		"rules need a code and a known mode, in the order of their codes": {
			change: func(c *v1alpha1.Configuration) {
				c.Rules = map[string]v1alpha1.RuleConfiguration{
					"moving-tag":       {Mode: v1alpha1.ModeWarn},
					"image.moving_tag": {},
					"image.invalid":    {Mode: "Deny"},
				}
			},
			want: []string{
				`rules[image.invalid].mode: Unsupported value: "Deny": supported values: "deny", "warn", "audit", "off"`,
				`rules[image.moving_tag].mode: Required value: choose deny, warn, audit or off`,
				`rules[moving-tag]: Invalid value: "moving-tag": must be the code of a rule, such as "image.moving_tag"`,
			},
		},
		"parameters have names that Rego can refer to": {
			change: func(c *v1alpha1.Configuration) {
				c.Parameters = map[string]runtime.RawExtension{"moving-tags": {Raw: []byte("1")}, "moving_tags": {Raw: []byte("1")}}
			},
			want: []string{`parameters[moving-tags]: Invalid value: "moving-tags": must be lower case letters, digits and underscores, starting with a letter`},
		},
		"controllers have distinct names": {
			change: func(c *v1alpha1.Configuration) {
				c.Controllers = []v1alpha1.ControllerIdentity{{User: "a"}, {}, {User: "a"}, {User: " b"}}
			},
			want: []string{
				`controllers[1].user: Required value: write the complete user name, such as "system:serviceaccount:NAMESPACE:NAME"`,
				`controllers[2].user: Duplicate value: "a"`,
				`controllers[3].user: Invalid value: " b": must not begin or end with a space`,
			},
		},
		"a contact of 200 characters, not bytes, is valid": {
			change: func(c *v1alpha1.Configuration) { c.Contact = strings.Repeat("ü", 200) },
		},
		"a longer contact is not": {
			change: func(c *v1alpha1.Configuration) { c.Contact = strings.Repeat("x", 201) },
			want:   []string{`contact: Invalid value: "` + strings.Repeat("x", 201) + `": must have at most 200 characters, has 201`},
		},
		"a contact is a single line": {
			change: func(c *v1alpha1.Configuration) { c.Contact = "a\nb" },
			want:   []string{`contact: Invalid value: "a\nb": must be a single line without control characters`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := v1alpha1.Default()
			tc.change(c)
			var got []string
			for _, err := range v1alpha1.Validate(c) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Validate() mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeepCopyIsIndependent(t *testing.T) {
	t.Parallel()
	original := v1alpha1.Default()
	original.Parameters = map[string]runtime.RawExtension{"a": {Raw: []byte(`"x"`)}}
	original.Completion.Profiles = []v1alpha1.Profile{{Init: v1alpha1.InitStrategy{Command: []string{"cp"}}}}

	copied, ok := original.DeepCopyObject().(*v1alpha1.Configuration)
	if !ok {
		t.Fatal("DeepCopyObject() is not a *Configuration")
	}
	copied.Parameters["a"].Raw[1] = 'y'
	copied.Completion.Profiles[0].Init.Command[0] = "mv"
	if got := original.Completion.Profiles[0].Init.Command[0]; got != "cp" {
		t.Errorf("original changed to %s", got)
	}
	if got := string(original.Parameters["a"].Raw); got != `"x"` {
		t.Errorf("original changed to %s", got)
	}
}
