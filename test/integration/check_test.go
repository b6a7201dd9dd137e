package integration

import (
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"strings"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/test/cluster"
)

// findingLine is how a refusal names a finding.
var findingLine = regexp.MustCompile(`(?m)^- (\S+ at \S+): `)

// isWhatCheckSays checks that "plainspec check" says of a manifest what the API server said: the
// same verdict, for the same findings, under the same policies.
func (k kubectl) isWhatCheckSays(applied cluster.KubectlResult, manifest string) {
	k.t.Helper()
	check := exec.CommandContext(k.t.Context(), shared.cli, "check", "-f", "-", "-n", k.namespace, "-o", "json", "--config", shared.server.config())
	check.Stdin = strings.NewReader(manifest)
	out, err := check.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	if got := check.ProcessState.ExitCode(); got != applied.ExitCode {
		k.t.Errorf("plainspec check: exit code %d, of kubectl %d", got, applied.ExitCode)
	}
	var said struct {
		PolicyRevision string `json:"policyRevision"`
		Objects        []struct {
			Findings []struct{ Code, Mode, Field string } `json:"findings"`
		} `json:"objects"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		k.t.Fatalf("plainspec check printed %q: %v", out, err)
	}
	var denied, refused []string
	for _, object := range said.Objects {
		for _, f := range object.Findings {
			if f.Mode == "deny" {
				denied = append(denied, f.Code+" at "+f.Field)
			}
		}
	}
	for _, match := range findingLine.FindAllStringSubmatch(applied.Stderr, -1) {
		refused = append(refused, match[1])
	}
	if diff := cmp.Diff(refused, denied); diff != "" {
		k.t.Errorf("plainspec check denies other things than the API server (-server +check):\n%s", diff)
	}
	if want := "policies " + said.PolicyRevision; applied.ExitCode != 0 && !strings.Contains(applied.Stderr, want) {
		k.t.Errorf("plainspec check judges by %s, the server says %q", want, applied.Stderr)
	}
}
