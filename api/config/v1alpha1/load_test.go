package v1alpha1_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

const header = "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\n"

// completion is a file with every field of completion that goes together.
const completion = header + `
completion:
  profiles:
  - name: shop
    match: {servers: [tomcat], images: [shop/server], artifacts: [shop/app]}
    os: windows
    source: /app.war
    rename: ROOT.war
    target: /srv/webapps
    hideTarget: true
    readOnly: true
    init: {mountPath: /out, command: [copy.exe, /app.war], resources: {}, sizeLimit: 1Gi}
  resources:
    templates: true
    classes:
    - namespaces: ["team-*"]
      main: {requests: {cpu: 0.1}, limits: {memory: 1Gi}}
      init: {limits: {cpu: 1}}
      sidecar: {requests: {memory: 64Mi}}
  labels: {version: true, name: true, instance: true, values: {part-of: shop}}
`

func typeMeta() metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file string
		want *v1alpha1.Configuration
	}{
		"the header alone gives the defaults": {
			file: header,
			want: &v1alpha1.Configuration{TypeMeta: typeMeta(), Enforcement: v1alpha1.EnforcementObserve},
		},
		"every field is read from YAML": {
			file: "# first a comment\n---\n" + header + `
enforcement: enforce
rules:
  image.moving_tag: {mode: audit}
  image.no_version: {mode: off}
parameters:
  moving_tags: [stable, main]
  nested: {depth: 1.5, empty: null, yes: true}
  nothing: null
controllers:
- user: system:serviceaccount:kruise-system:kruise-manager
contact: "Questions: #platform on chat"
---
# and a comment at the end
`,
			want: &v1alpha1.Configuration{
				TypeMeta:    typeMeta(),
				Enforcement: v1alpha1.EnforcementEnforce,
				Rules: map[string]v1alpha1.RuleConfiguration{
					"image.moving_tag": {Mode: v1alpha1.ModeAudit},
					"image.no_version": {Mode: v1alpha1.ModeOff},
				},
				Parameters: map[string]runtime.RawExtension{
					"moving_tags": {Raw: []byte(`["stable","main"]`)},
					"nested":      {Raw: []byte(`{"depth":1.5,"empty":null,"true":true}`)},
					"nothing":     {},
				},
				Controllers: []v1alpha1.ControllerIdentity{{User: "system:serviceaccount:kruise-system:kruise-manager"}},
				Contact:     "Questions: #platform on chat",
			},
		},
		"a profile gets its defaults": {
			file: header + "completion: {profiles: [{name: shop, match: {servers: [tomcat]}, source: /app.war, target: /webapps}]}\n",
			want: &v1alpha1.Configuration{
				TypeMeta: typeMeta(), Enforcement: v1alpha1.EnforcementObserve,
				Completion: v1alpha1.Completion{Profiles: []v1alpha1.Profile{{
					Name: "shop", Match: v1alpha1.Match{Servers: []string{"tomcat"}}, OS: v1alpha1.Linux,
					Source: "/app.war", Target: "/webapps", Init: v1alpha1.InitStrategy{MountPath: "/plainspec/artifact"},
				}}},
			},
		},
		"every field of completion is read, and none is replaced by a default": {
			file: completion,
			want: &v1alpha1.Configuration{
				TypeMeta: typeMeta(), Enforcement: v1alpha1.EnforcementObserve,
				Completion: v1alpha1.Completion{
					Profiles: []v1alpha1.Profile{{
						Name: "shop", OS: v1alpha1.Windows, Source: "/app.war", Rename: "ROOT.war", Target: "/srv/webapps",
						Match:      v1alpha1.Match{Servers: []string{"tomcat"}, Images: []string{"shop/server"}, Artifacts: []string{"shop/app"}},
						HideTarget: true, ReadOnly: true,
						Init: v1alpha1.InitStrategy{
							MountPath: "/out", Command: []string{"copy.exe", "/app.war"}, SizeLimit: new(resource.MustParse("1Gi")),
							Resources: &corev1.ResourceRequirements{},
						},
					}},
					Resources: &v1alpha1.Resources{Templates: true, Classes: []v1alpha1.ResourceClass{{
						Namespaces: []string{"team-*"},
						Main: &corev1.ResourceRequirements{
							Requests: corev1.ResourceList{"cpu": resource.MustParse("0.1")}, Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")},
						},
						Init:    &corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1")}},
						Sidecar: &corev1.ResourceRequirements{Requests: corev1.ResourceList{"memory": resource.MustParse("64Mi")}},
					}}},
					Labels: &v1alpha1.Labels{Version: true, Name: true, Instance: true, Values: map[string]string{"part-of": "shop"}},
				},
			},
		},
		"JSON is read too": {
			file: `{"apiVersion": "config.plainspec.dev/v1alpha1", "kind": "Configuration", "enforcement": "warn"}`,
			want: &v1alpha1.Configuration{TypeMeta: typeMeta(), Enforcement: v1alpha1.EnforcementWarn},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v1alpha1.Decode([]byte(tc.file))
			if err != nil {
				t.Fatalf("Decode() error = %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Decode() mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file    string
		wantErr string
	}{
		"an empty file": {
			file:    "",
			wantErr: "file is empty: write at least apiVersion: config.plainspec.dev/v1alpha1 and kind: Configuration",
		},
		"a file of comments and separators": {
			file:    "# nothing\n---\n# here\n---\n",
			wantErr: "file is empty: write at least apiVersion: config.plainspec.dev/v1alpha1 and kind: Configuration",
		},
		"two documents": {
			file:    header + "---\n" + header,
			wantErr: "file has 2 documents: write exactly one",
		},
		"a list": {
			file:    "- apiVersion: config.plainspec.dev/v1alpha1\n",
			wantErr: "document is not an object with apiVersion: config.plainspec.dev/v1alpha1 and kind: Configuration",
		},
		"another version": {
			file:    "apiVersion: config.plainspec.dev/v1\nkind: Configuration\n",
			wantErr: `apiVersion: is "config.plainspec.dev/v1", must be "config.plainspec.dev/v1alpha1"`,
		},
		"another kind": {
			file:    "apiVersion: config.plainspec.dev/v1alpha1\nkind: Config\n",
			wantErr: `kind: is "Config", must be "Configuration"`,
		},
		"no kind": {
			file:    "apiVersion: config.plainspec.dev/v1alpha1\n",
			wantErr: `kind: is "", must be "Configuration"`,
		},
		"an unknown field at the top": {
			file:    header + "enforcment: enforce\n",
			wantErr: `unknown field "enforcment"`,
		},
		"unknown fields below, each with its path": {
			file:    header + "rules:\n  image.moving_tag: {mode: audit, mod: x}\ncontrollers:\n- user: a\n  name: b\n",
			wantErr: `unknown field "controllers[0].name"; unknown field "rules.image.moving_tag.mod"`,
		},
		"a field of the wrong case": {
			file:    header + "Enforcement: enforce\n",
			wantErr: `unknown field "Enforcement"`,
		},
		"a field written twice": {
			file:    header + "rules:\n  image.moving_tag:\n    mode: audit\n    mode: deny\n",
			wantErr: `duplicate field "rules.image.moving_tag.mode" in lines 5 and 6`,
		},
		"a field written twice in JSON, inside a parameter": {
			file:    `{"apiVersion": "config.plainspec.dev/v1alpha1", "kind": "Configuration", "parameters": {"a": [{"b": 1, "b": 2}]}}`,
			wantErr: `duplicate field "parameters.a[0].b" in lines 1 and 1`,
		},
		"two spellings of the same key": {
			file:    header + "parameters:\n  a:\n    yes: 1\n    true: 2\n",
			wantErr: "yaml: unmarshal errors: line 6: key true already set in map",
		},
		"broken YAML": {
			file:    header + "rules: {\n",
			wantErr: "yaml: line 3: did not find expected node content",
		},
		"a value of the wrong type": {
			file:    header + "contact: [a]\n",
			wantErr: "contact: is of type array, must be of type string",
		},
		"an unquoted word that YAML takes for a boolean": {
			file:    header + "enforcement: on\n",
			wantErr: "enforcement: is of type bool, must be of type string",
		},
		"a list instead of an object": {
			file:    header + "rules: [{mode: audit}]\n",
			wantErr: "rules: is of type array, must be of type object",
		},
		"a number as a mode": {
			file:    header + "rules: {image.moving_tag: {mode: 1}}\n",
			wantErr: "rules[image.moving_tag].mode: is of type number, must be of type string",
		},
		"a word as an amount, by where it stands": {
			file:    header + "completion: {profiles: [{name: a}, {init: {resources: {limits: {cpu: lots}}}}]}\n",
			wantErr: "completion.profiles[1].init.resources.limits.cpu: is no amount, write one such as 100m, 0.5 or 64Mi",
		},
		"an amount with an unknown unit": {
			file:    header + "completion: {profiles: [{init: {sizeLimit: 1K}}]}\n",
			wantErr: "completion.profiles[0].init.sizeLimit: is no amount, write one such as 100m, 0.5 or 64Mi",
		},
		"a user's name instead of its id": {
			file:    header + "completion: {profiles: [{init: {user: tomcat}}]}\n",
			wantErr: "completion.profiles[0].init.user: is of type string, must be of type integer",
		},
		"a command that is no list": {
			file:    header + "completion: {profiles: [{init: {command: cp}}]}\n",
			wantErr: "completion.profiles[0].init.command: is of type string, must be of type array",
		},
		"unknown fields of completion, each with its path": {
			file: header + "completion:\n  profiles: [{sorce: /app.war, init: {image: a}}]\n  resources: {classes: [{main: {limit: {cpu: 1}}}]}\n" +
				"  labels: {partOf: shop}\n",
			wantErr: `unknown field "completion.labels.partOf"; unknown field "completion.profiles[0].init.image"; ` +
				`unknown field "completion.profiles[0].sorce"; unknown field "completion.resources.classes[0].main.limit"`,
		},
		"invalid values, all in one line": {
			file: header + "enforcement: block\nrules:\n  image.moving_tag: {mode: block}\n",
			wantErr: `[enforcement: Unsupported value: "block": supported values: "observe", "warn", "enforce", ` +
				`rules[image.moving_tag].mode: Unsupported value: "block": supported values: "deny", "warn", "audit", "off"]`,
		},
		"a file that is too large": {
			file:    header + strings.Repeat("# padding\n", 200_000),
			wantErr: "larger than 1048576 bytes",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plainspec.yaml")
			if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := v1alpha1.Load(path)
			if err == nil {
				t.Fatal("Load() error = nil")
			}
			if diff := cmp.Diff("load configuration "+path+": "+tc.wantErr, err.Error()); diff != "" {
				t.Errorf("Load() error mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadNamesTheMissingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing.yaml")
	_, err := v1alpha1.Load(path)
	if err == nil {
		t.Fatal("Load() error = nil")
	}
	if want := "load configuration: open " + path + ": no such file or directory"; err.Error() != want {
		t.Errorf("Load() error = %q, want %q", err, want)
	}
}
