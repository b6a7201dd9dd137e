package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/webhook"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestCheckAnswersAsTheServer sends each example through both doors of the pipeline.
func TestCheckAnswersAsTheServer(t *testing.T) {
	t.Parallel()
	checker, err := New(t.Context(), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	server, err := webhook.NewValidator(webhook.ValidatorOptions{
		Reviewer: checker.reviewer, Registerer: prometheus.NewRegistry(), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	batch := manifest.Read(manifest.Options{Paths: []string{filepath.Join("..", "..", "examples")}, Recursive: true})
	if len(batch.Documents) < 5 {
		t.Fatalf("%d examples: %v", len(batch.Documents), batch.Problems)
	}
	result := checker.Check(t.Context(), batch)
	for i := range batch.Documents {
		d, o := &batch.Documents[i], &result.Objects[i]
		response := server.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Kind: metav1.GroupVersionKind{Group: d.Group(), Kind: d.Kind}, Name: d.Name,
			Namespace: defaultNamespace, UserInfo: authenticationv1.UserInfo{Username: "somebody"}, Object: runtime.RawExtension{Raw: d.Object},
		}})
		if o.Allowed != response.Allowed {
			t.Errorf("%s: check says allowed: %v, the server %v", d.Source, o.Allowed, response.Allowed)
		}
		for _, mode := range []policy.Mode{policy.ModeDeny, policy.ModeWarn, policy.ModeAudit} {
			var codes []string
			for j := range o.Findings {
				if f := &o.Findings[j]; f.Mode == string(mode) && !strings.Contains(strings.Join(codes, ","), f.Code) {
					codes = append(codes, f.Code)
				}
			}
			if diff := cmp.Diff(response.AuditAnnotations[string(mode)], strings.Join(codes, ",")); diff != "" {
				t.Errorf("%s: %s (-server +check):\n%s", d.Source, mode, diff)
			}
		}
		if !response.Allowed && !strings.Contains(response.Result.Message, o.Findings[0].Message) {
			t.Errorf("%s: the server says %q, check %q", d.Source, response.Result.Message, o.Findings[0].Message)
		}
	}
}

func TestAssumed(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nenforcement: warn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		options                    Options
		namespace, level, fromWhom string
	}{
		"nothing is told":                 {Options{}, "default", "enforce", ""},
		"the command line tells":          {Options{Enforcement: "observe", Namespace: "shop"}, "shop", "observe", "the command line"},
		"the configuration tells":         {Options{Config: config}, "default", "warn", config},
		"the command line goes before it": {Options{Config: config, Enforcement: "enforce"}, "default", "enforce", "the command line"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checker, err := New(t.Context(), tc.options)
			if err != nil {
				t.Fatal(err)
			}
			want := Assumed{Operation: "CREATE", User: "developer", Namespace: tc.namespace, Enforcement: tc.level, EnforcementFrom: tc.fromWhom}
			if diff := cmp.Diff(want, checker.assumed); diff != "" {
				t.Errorf("assumed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"tomcat 7.0 … ü":    "tomcat 7.0 … ü",
		"a\nb\tc\x1b[2J":    `a\nb\tc\x1b[2J`,
		"\u202egpj.exe":     `\u202egpj.exe`,
		"bad \xff utf-8":    "bad \uFFFD utf-8",
		"\u00a0 and \u200b": `\u00a0 and \u200b`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShortDigest(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"v2": "v2", "sha256:0123456789abcdef": "sha256:0123456789ab…", "1:2": "1:2"} {
		if got := shortDigest(in); got != want {
			t.Errorf("shortDigest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSummaryString(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Summary{
		"0 checked, 0 denied": {},
		"5 checked, 2 denied, 1 admitted with warnings, 3 skipped (no known Pod spec), 4 undecided": {Checked: 5, Denied: 2, Warned: 1, Skipped: 3, Undecided: 4},
	} {
		if got := s.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
