package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/audit"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// largestRecord is what a record stays below, with what the API server adds.
const largestRecord = 32 << 10

// judgement is one that denies; image.no_version is its rule.
func judgement(container, value string) validate.Judgement {
	return validate.Judgement{
		Finding: policy.Finding{
			Code: "image.no_version", Container: container, Volume: "v", Field: "spec.containers[0].image", Value: value, Evidence: "it has no tag, token=s3cret",
		},
		Rule: &policy.Rule{Code: "image.no_version", Severity: "high", Fix: "name a version: <tag>"},
		Mode: policy.ModeDeny, Enforced: policy.ModeDeny, Text: "container uses " + value,
	}
}

func TestNewRejection(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 13, 14, 15, 999, time.FixedZone("", 3600))
	d := validate.Decision{
		Request:  validate.Request{Operation: validate.Create, Kind: "Pod", Namespace: "team", Name: "build-1", User: "jane\nadmin"},
		Outcome:  auditv1alpha1.OutcomeDenied,
		ID:       "abcdefghij",
		Root:     auditv1alpha1.Root{Group: "argoproj.io", Kind: "Workflow", Namespace: "team", Name: "build", Text: "Workflow team/build"},
		Revision: "0123456789ab",
		Manifest: auditv1alpha1.Manifest{Containers: []auditv1alpha1.Container{{Name: "c", Role: "main", Image: "nginx"}}},
	}
	d.Judgements = []validate.Judgement{judgement("c", "nginx"), judgement("d", "https://jane:s3cret@example.com/a")}
	d.Judgements[1].Code = "image.invalid"
	warned := judgement("e", "b")
	warned.Code, warned.Mode, warned.Enforced = "image.moving_tag", policy.ModeWarn, policy.ModeWarn
	d.Judgements = append(d.Judgements, warned)

	at := metav1.NewTime(time.Date(2026, 11, 21, 12, 14, 15, 0, time.UTC))
	want := auditv1alpha1.Rejection{
		TypeMeta:   metav1.TypeMeta{APIVersion: "audit.plainspec.dev/v1alpha1", Kind: "Rejection"},
		ObjectMeta: metav1.ObjectMeta{Name: "abcdefghij", Labels: map[string]string{"audit.plainspec.dev/namespace": "team"}},
		Outcome:    "Denied", Operation: "CREATE", User: `jane\nadmin`, Root: d.Root, Rules: []string{"image.invalid", "image.no_version"},
		FirstTime: at, LastTime: at, Count: 1, PolicyRevision: "0123456789ab", Manifest: d.Manifest,
		Findings: []auditv1alpha1.Finding{
			{
				Code: "image.no_version", Severity: "high", Container: "c", Volume: "v", Field: "spec.containers[0].image", Value: "nginx",
				Evidence: "it has no tag, token=…", Message: "container uses nginx", Fix: "name a version: <tag>",
			},
			{
				Code: "image.invalid", Severity: "high", Container: "d", Volume: "v", Field: "spec.containers[0].image", Value: "https://example.com/a",
				Evidence: "it has no tag, token=…", Message: "container uses https://jane:s3cret@example.com/a", Fix: "name a version: <tag>",
			},
		},
	}
	want.Findings[1].Message = d.Judgements[1].Text // which the decision has redacted
	if diff := cmp.Diff(want, audit.NewRejection(&d, now)); diff != "" {
		t.Errorf("rejection (-want +got):\n%s", diff)
	}
}

// TestARejectionIsBounded holds that a record fits, whatever is found, and says what it left out.
func TestARejectionIsBounded(t *testing.T) {
	t.Parallel()
	dear := strings.Repeat("<", 2000) // six bytes each in JSON
	text := redact.Text(dear)
	for name, tc := range map[string]struct {
		findings              int
		value, user           string
		wantShown, wantHidden int
	}{
		"as many as are shown": {20, "nginx", "jane", 20, 0},
		"more":                 {500, "nginx", "jane", 20, 480},
		"dear texts":           {20, dear, dear, 3, 17},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := validate.Decision{Outcome: auditv1alpha1.OutcomeDenied, Request: validate.Request{User: tc.user}}
			d.Root = auditv1alpha1.Root{Group: text, Kind: text, Namespace: text, Name: text, Text: text}
			for i := range tc.findings {
				j := judgement(fmt.Sprintf("c%d", i), tc.value)
				if tc.value == dear {
					j.Container, j.Volume, j.Field, j.Evidence, j.Text = dear, dear, dear, dear, text
				}
				d.Judgements = append(d.Judgements, j)
			}
			got := audit.NewRejection(&d, time.Unix(0, 0))
			if len(got.Findings) != tc.wantShown || got.FindingsOmitted != tc.wantHidden {
				t.Errorf("%d findings and %d omitted, want %d and %d", len(got.Findings), got.FindingsOmitted, tc.wantShown, tc.wantHidden)
			}
			written, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			const manifest = 16 << 10
			if size := len(written) + manifest; size > largestRecord {
				t.Errorf("the record can have %d bytes, want at most %d", size, largestRecord)
			}
		})
	}
}
