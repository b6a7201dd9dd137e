package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/assemble"
	"plainspec.dev/plainspec/internal/webhook"
)

// checker is a webhook.PolicyChecker of one function.
type checker func(context.Context, map[string]string) ([]string, error)

func (c checker) CheckPolicies(ctx context.Context, data map[string]string) ([]string, error) {
	return c(ctx, data)
}

// newPolicies returns the handler of /policies for the namespace plainspec-system, with its metrics.
func newPolicies(t *testing.T, c webhook.PolicyChecker) (*webhook.Handler, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	policies, err := webhook.NewPolicies(webhook.PoliciesOptions{Checker: c, Namespace: "plainspec-system", Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return webhook.NewHandler(policies), registry
}

// configMap is a review of a ConfigMap of policies; replacements change it.
func configMap(t *testing.T, data map[string]string, replacements ...string) string {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replacements...).Replace(reviewOf(`,"kind":{"group":"","version":"v1","kind":"ConfigMap"},"namespace":"plainspec-system",` +
		`"name":"ours","operation":"CREATE","userInfo":{"username":"jane"},"object":{"apiVersion":"v1","kind":"ConfigMap",` +
		`"metadata":{"name":"ours","creationTimestamp":null,"labels":{"plainspec.dev/policies":""}},"data":` + string(text) + `}`))
}

// ourRule is a rule, with %s in its body.
const ourRule = `package policies.rules.team.registry

# METADATA
# title: Image from outside our registry
# description: Images come from registry.example.com.
# scope: document
# custom:
#   severity: medium
#   mode: warn
#   message: container "{{.Container}}" uses {{.Value}}
#   fix: push the image to registry.example.com
#   since: "0.1.0"
findings contains {"container": image.container, "field": image.field, "value": image.value} if {
	some image in input.workload.images.all
	%s
}
`

// nothingChanged ends each refusal.
const nothingChanged = "\nNothing has changed: the policies that are loaded go on judging. Fix the files and apply again."

func TestPoliciesAreCheckedBeforeTheyAreStored(t *testing.T) {
	t.Parallel()
	const key = "rules__team__registry__registry.rego"
	good := fmt.Sprintf(ourRule, `image.registry != "registry.example.com"`)
	many := make(map[string]string)
	for i := range 201 {
		many[fmt.Sprintf("rules__team__r%d__r.rego", i)] = ""
	}
	tests := map[string]struct {
		review       string
		config       v1alpha1.Configuration
		want         string // the refusal's text before nothingChanged; empty if it is admitted
		wantWarnings []string
		wantResult   string // of the metric
	}{
		"a rule that loads": {review: configMap(t, map[string]string{key: good}), wantResult: "admitted"},
		"no files":          {review: configMap(t, nil), wantResult: "admitted"},
		"a syntax error": {
			review: configMap(t, map[string]string{key: "package policies.rules.team.registry\n\nfindings contains {\n"}),
			want: "load policies: rules/team/registry/registry.rego:4:0: rego_parse_error: unexpected eof token\n" +
				"\tfindings contains {\n\t                  ^\n" +
				"rules/team/registry/registry.rego:4:0: rego_parse_error: unexpected eof token: expected rule key term (e.g., findings contains <VALUE> { ... })\n" +
				"\tfindings contains {\n\t                  ^",
			wantResult: "denied",
		},
		"a fact that does not exist": {
			review: configMap(t, map[string]string{key: fmt.Sprintf(ourRule, "image.registri == \"\"")}),
			want: "compile policies: rules/team/registry/registry.rego:15:2: rego_type_error: undefined ref: image.registri\n" +
				"\timage.registri\n\t      ^\n\t      have: \"registri\"\n" +
				`	      want (one of): ["container" "digest" "error" "field" "name" "precision" "registry" "repository" "role" "tag" "value" "volume" "words"]`,
			wantResult: "denied",
		},
		"a built-in that reaches the network": {
			review:     configMap(t, map[string]string{key: fmt.Sprintf(ourRule, `http.send({"url": "http://example.com", "method": "GET"})`)}),
			want:       "compile policies: rules/team/registry/registry.rego:15:2: rego_type_error: undefined function http.send",
			wantResult: "denied",
		},
		"METADATA without a fix": {
			review:     configMap(t, map[string]string{key: strings.Replace(good, "#   fix: push the image to registry.example.com\n", "", 1)}),
			want:       "check policies: rules/team/registry/registry.rego:3:1: METADATA of rule team.registry: custom.fix is missing",
			wantResult: "denied",
		},
		"a key that is no path": {
			review:     configMap(t, map[string]string{"..__" + key: good}),
			want:       `key "..__rules__team__registry__registry.rego" is no path of a file: it is rules__team__registry__registry.rego for rules/team/registry/registry.rego`,
			wantResult: "denied",
		},
		"a key that stands for two paths": {
			review:     configMap(t, map[string]string{"rules__team___registry__registry.rego": good}),
			want:       `key "rules__team___registry__registry.rego" is no path of a file: it is rules__team__registry__registry.rego for rules/team/registry/registry.rego`,
			wantResult: "denied",
		},
		"binary data": {
			review:     configMap(t, map[string]string{key: good}, `"data":`, `"binaryData":{"a.rego":"cGFja2FnZSBh"},"data":`),
			want:       "binaryData is not read: policies are text, in data",
			wantResult: "denied",
		},
		"too many files": {
			review: configMap(t, many), want: "201 files are more than 200: put rules that belong together into one", wantResult: "denied",
		},
		"too long a text": {
			review: configMap(t, map[string]string{key: strings.Repeat("# long\n", 80_000)}), want: "546 KiB are more than 512 KiB", wantResult: "denied",
		},
		"a file that nobody reads": {
			review: configMap(t, map[string]string{key: good, "rules__team__registry__registry_test.rego": "not loaded", "rules__team__old.rego.bak": "{"}),
			wantWarnings: []string{
				"policies: rules/team/old.rego.bak is not read: policies end with .rego, data with .yaml, .yml or .json",
			},
			wantResult: "admitted",
		},
		"a configuration that names a rule which is gone": {
			review: configMap(t, map[string]string{key: good}),
			config: v1alpha1.Configuration{Rules: map[string]v1alpha1.RuleConfiguration{"team.gone": {Mode: "audit"}}},
			wantWarnings: []string{
				"policies: a server does not start with them and the configuration of now: apply configuration config.yaml:",
				`… rules["team.gone"]: no such rule, known are ["image.invalid" "image.moving_tag" "image.no_version" "inject.lost"`,
				`… "label.version_mismatch" "team.registry" "version.driver_without_version" "version.hidden_in_volume"`,
				`… "version.unfilled_volume"]`,
			},
			wantResult: "admitted",
		},
		"another namespace": {
			review: configMap(t, map[string]string{key: "broken"}, "plainspec-system", "shop"), wantResult: "skipped",
		},
		"an update that takes the label away": {
			review: configMap(t, map[string]string{key: "broken"}, "CREATE", "UPDATE", `"plainspec.dev/policies":""`, ""), wantResult: "skipped",
		},
		"a deletion": {
			review: configMap(t, map[string]string{key: "broken"}, "CREATE", "DELETE"), wantResult: "skipped",
		},
		"another kind": {
			review: configMap(t, map[string]string{key: "broken"}, `"kind":"ConfigMap"},"namespace"`, `"kind":"Secret"},"namespace"`), wantResult: "skipped",
		},
		"an object of another shape": {
			review: configMap(t, nil, `"data":null`, `"data":[1]`),
			wantWarnings: []string{
				"policies: not checked: decode ConfigMap: data is a list, must be an object",
			},
			wantResult: "undecided",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.config.Enforcement = v1alpha1.EnforcementEnforce
			handler, registry := newPolicies(t, &assemble.PolicyChecker{Config: &tc.config, ConfigFile: "config.yaml"})
			response := mutates(t.Context(), t, handler, strings.NewReader(tc.review))
			got := ""
			if !response.Allowed {
				got = response.Result.Message
			}
			want := tc.want
			if want != "" {
				want = "the policies of ConfigMap plainspec-system/ours do not load: " + want + nothingChanged
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantWarnings, response.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(fmt.Sprintf("plainspec_policy_reviews_total{result=%q} 1", tc.wantResult), nonZero(t, registry)); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALongProblemIsCut(t *testing.T) {
	t.Parallel()
	handler, _ := newPolicies(t, checker(func(context.Context, map[string]string) ([]string, error) {
		return nil, errors.New(strings.Repeat("é", 5000))
	}))
	response := mutates(t.Context(), t, handler, strings.NewReader(configMap(t, nil)))
	if want := strings.Repeat("é", 4096) + " …" + nothingChanged; !strings.HasSuffix(response.Result.Message, " "+want) {
		t.Errorf("message of %d bytes: %.200s", len(response.Result.Message), response.Result.Message)
	}
}

// What takes too long is admitted, and goes on to keep its turn: compiling cannot be broken off.
func TestPoliciesThatTakeTooLongAreAdmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		var running, most atomic.Int32
		handler, registry := newPolicies(t, checker(func(context.Context, map[string]string) ([]string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-finish
			return nil, errors.New("broken")
		}))
		review := configMap(t, nil)
		var mutex sync.Mutex
		answers := make(map[string]int)
		var group errgroup.Group
		for range 5 { // one is compiled, three wait, one is too many
			group.Go(func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				response := mutates(ctx, t, handler, strings.NewReader(review))
				mutex.Lock()
				defer mutex.Unlock()
				answers[fmt.Sprint(response.Allowed, response.Warnings)]++
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		wantAnswers := map[string]int{
			"true [policies: not checked: that took too long, apply it again later]":       1,
			"true [policies: not checked: others are being checked, apply it again later]": 4,
		}
		if diff := cmp.Diff(wantAnswers, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if running.Load() != 1 || most.Load() != 1 {
			t.Errorf("%d are compiled, %d were at once, want 1", running.Load(), most.Load())
		}
		close(finish)
		synctest.Wait()
		if response := mutates(t.Context(), t, handler, strings.NewReader(review)); response.Allowed {
			t.Error("not checked, though nothing else is")
		}
		want := `plainspec_policy_reviews_total{result="denied"} 1` + "\n" + `plainspec_policy_reviews_total{result="undecided"} 5`
		if diff := cmp.Diff(want, nonZero(t, registry)); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

func TestAPanicInTheCompilerIsNoVerdict(t *testing.T) {
	t.Parallel()
	policies, err := webhook.NewPolicies(webhook.PoliciesOptions{
		Checker: checker(func(context.Context, map[string]string) ([]string, error) { panic("no such token") }), Namespace: "plainspec-system",
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(configMap(t, nil)), &review); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx := logr.NewContext(t.Context(), logr.FromSlogHandler(slog.NewTextHandler(&log, nil)))
	for range 6 { // each gives its turn and its place back
		response := policies.Handle(ctx, admission.Request{AdmissionRequest: *review.Request})
		if diff := cmp.Diff([]string{"policies: not checked: internal error"}, response.Warnings); diff != "" || !response.Allowed {
			t.Errorf("allowed: %v, warnings (-want +got):\n%s", response.Allowed, diff)
		}
	}
	if !strings.Contains(log.String(), "no such token") {
		t.Errorf("the log does not say why: %s", &log)
	}
}
