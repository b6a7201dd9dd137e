package webhook_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
)

func TestWhatIsRecorded(t *testing.T) {
	t.Parallel()
	set, err := policy.Load(t.Context(), policy.Options{Library: library()})
	if err != nil {
		t.Fatal(err)
	}
	const who = ` object.name=shop object.namespace=web namespace=web name=shop resource="{Group: Version: Resource:}" user=ann requestID=1 `
	dryRun := true
	change := func(edit func(*admission.Request)) admission.Request {
		req := create("ann", podOf("", "denied"))
		edit(&req)
		return req
	}
	for name, tc := range map[string]struct {
		enforcement  validate.Enforcement // enforce if empty
		request      admission.Request
		breakGlass   bool
		wantRecord   string // outcome and rules
		wantOutcome  string // in the audit annotations
		wantWarnings []string
		wantLog      string // the line at the default level, its id masked
	}{
		"a denial": {
			request: change(func(*admission.Request) {}), wantRecord: "Denied test.denied", wantOutcome: "Denied",
			wantLog: `level=INFO msg=denied` + who +
				`id=<id> codes=[test.denied] revision=<revision> dryRun=false`,
		},
		"a dry run": {
			request: change(func(r *admission.Request) { r.DryRun = &dryRun }), wantOutcome: "Denied",
			wantLog: `level=INFO msg=denied` + who +
				`id=<id> codes=[test.denied] revision=<revision> dryRun=true`,
		},
		"what would be denied": {
			enforcement: validate.Observe, request: change(func(*admission.Request) {}), wantRecord: "Observed test.denied", wantOutcome: "Observed",
		},
		"what is warned about": {
			enforcement: validate.Warn, request: change(func(*admission.Request) {}), wantRecord: "Observed test.denied", wantOutcome: "Observed",
			wantWarnings: []string{`test.denied: container "denied" is of denied`},
		},
		"an emergency": {
			request: change(func(*admission.Request) {}), breakGlass: true, wantRecord: "Bypassed test.denied", wantOutcome: "Bypassed", wantWarnings: []string{"break-glass: admitted, and recorded as <id>"},
			wantLog: `level=INFO msg=bypassed` + who +
				`id=<id> codes=[test.denied] revision=<revision> dryRun=false`,
		},
		"a dry run of an emergency": {
			request: change(func(r *admission.Request) { r.DryRun = &dryRun }), breakGlass: true,
			wantOutcome: "Bypassed", wantWarnings: []string{"break-glass: would be admitted, and recorded as <id>"},
			wantLog: `level=INFO msg=bypassed` + who +
				`id=<id> codes=[test.denied] revision=<revision> dryRun=true`,
		},
		"nothing":                {request: create("ann", podOf("", "fine", "warned", "audited")), wantWarnings: []string{`test.warned: container "warned" is of warned`}},
		"what a controller made": {request: create(replicaSetController, podOf(owned, "denied"))},
		"what is not judged":     {request: change(func(r *admission.Request) { r.Kind = metav1.GroupVersionKind{Version: "v1", Kind: "ConfigMap"} })},
		"what is undecided in an emergency": {
			request: create("ann", podOf("", "broken", "denied")), breakGlass: true,
			wantWarnings: []string{"Plainspec could not judge this object, and admitted it"},
		},
		"what is undecided, observing": {enforcement: validate.Observe, request: create("ann", podOf("", "broken", "denied")), wantWarnings: []string{"Plainspec could not judge this object, and admitted it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.enforcement == "" {
				tc.enforcement = validate.Enforce
			}
			reviewer, err := validate.New(validate.Options{Set: set, Enforcement: tc.enforcement})
			if err != nil {
				t.Fatal(err)
			}
			kept := &recorder{}
			validator, err := webhook.NewValidator(webhook.ValidatorOptions{Reviewer: reviewer, Recorder: kept, Registerer: prometheus.NewRegistry(), Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			ctx := logf.IntoContext(t.Context(), logr.FromSlogHandler(slog.NewTextHandler(&log, nil)))
			handler := admission.Handler(validator)
			if tc.breakGlass {
				handler = validator.BreakGlass()
			}
			got := handler.Handle(ctx, tc.request)
			id := got.AuditAnnotations["id"]
			mask := strings.NewReplacer("\x00", "", reviewer.Set().Revision(), "<revision>")
			if id != "" {
				mask = strings.NewReplacer(id, "<id>", reviewer.Set().Revision(), "<revision>")
			}
			for i := range got.Warnings {
				got.Warnings[i] = mask.Replace(got.Warnings[i])
			}
			if diff := cmp.Diff(tc.wantWarnings, got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if got.AuditAnnotations["outcome"] != tc.wantOutcome || (id != "") != (tc.wantOutcome != "") {
				t.Errorf("audit annotations are %v, want the outcome %q", got.AuditAnnotations, tc.wantOutcome)
			}
			record := ""
			for _, r := range kept.records {
				record += string(r.Outcome) + " " + strings.Join(r.Rules, ",")
				if r.Name != id || !r.FirstTime.Time.Equal(noon()) || r.Count != 1 {
					t.Errorf("record %s of %s, %d times, want %s once at noon", r.Name, r.FirstTime, r.Count, id)
				}
			}
			if record != tc.wantRecord {
				t.Errorf("recorded is %q, want %q", record, tc.wantRecord)
			}
			_, line, _ := strings.Cut(strings.TrimSpace(log.String()), " ") // behind the time
			if line = mask.Replace(line); line != tc.wantLog && !strings.Contains(line, "msg=undecided") {
				t.Errorf("log is %q, want %q", line, tc.wantLog)
			}
		})
	}
}
