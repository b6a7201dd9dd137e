package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"plainspec.dev/plainspec/internal/policy"
)

// desired are the workloads of the brownfield, each with the field that counts its healthy Pods,
// and how many there are.
var desired = []struct{ workload, ready, want string }{
	{"deployment/deployment", "{.status.readyReplicas}", "2"},
	{"statefulset/statefulset", "{.status.readyReplicas}", "1"},
	{"daemonset/daemonset", "{.status.numberReady}", "2"},
	{"replicaset/replicaset", "{.status.readyReplicas}", "1"},
	{"replicationcontroller/replicationcontroller", "{.status.readyReplicas}", "1"},
}

// heals waits until every workload of the brownfield has its Pods again.
func (k kubectl) heals(codes []string) {
	k.t.Helper()
	for _, d := range desired {
		k.becomes(d.want, d.ready, d.workload)
	}
	for _, code := range codes {
		k.becomes("1", "{.status.readyReplicas}", "deployment/"+deploymentOf(code))
	}
}

// TestAClusterThatViolatesEveryRuleGoesOnUnderEnforcement is why nobody needs to be afraid of
// switching Plainspec on: what runs keeps healing, moving, scaling, rolling and firing.
func TestAClusterThatViolatesEveryRuleGoesOnUnderEnforcement(t *testing.T) {
	t.Parallel()
	codes := codes(t)
	k := in(t, "brownfield", "brownfield")
	k.silent(manifest(t, brownfield(t)...), "apply", "-f", "-")
	k.heals(codes)
	k.becomes("True", "{.status.conditions[?(@.type=='Ready')].status}", "pod/pod")

	ownServer(t, serverOptions{name: "brownfield"})
	firedBefore := k.get("{.items[*].metadata.uid}", "jobs", "-l", "app=cronjob")

	// In this order: each step starts from what the one before left.
	k.losesPods(codes)
	k.isDrained(codes)
	k.isScaled()
	k.rolls()
	k.finishesJobs(firedBefore)
	k.refusesNewViolations(codes)
	k.ratchets()

	k.noFailedCreates()
	noted := k.noControllerRefused()
	for _, code := range codes {
		if !noted[code] {
			t.Errorf("the audit log has no finding %s of a controller's Pod: the brownfield does not violate it", code)
		}
	}
}

func (k kubectl) losesPods(codes []string) {
	k.t.Helper()
	k.works("", "delete", "pods", "-l", story+"=brownfield,app!=pod", "--wait=true")
	k.heals(codes)
}

// isDrained moves all Pods off a node, as for its maintenance.
func (k kubectl) isDrained(codes []string) {
	k.t.Helper()
	const node = "fake-node-2"
	// The bare Pod goes for good, as in any drain, and a DaemonSet's Pods stay.
	stdout, _ := k.works("", "drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--pod-selector="+story+"=brownfield", "--timeout="+patience.String())
	if !strings.Contains(stdout, "node/"+node+" drained") {
		k.t.Errorf("kubectl drain printed %q", stdout)
	}
	k.heals(codes)
	if left := k.get("{.items[*].metadata.name}", "pods", "-l", "app!=daemonset", "--field-selector=spec.nodeName="+node); left != "" {
		k.t.Errorf("Pods %s are left on the drained node", left)
	}
	k.works("", "uncordon", node)
}

func (k kubectl) isScaled() {
	k.t.Helper()
	for _, replicas := range []string{"3", "1"} {
		k.silent("", "scale", "--replicas="+replicas, "deployment/deployment", "statefulset/statefulset", "replicaset/replicaset", "replicationcontroller/replicationcontroller")
		for _, workload := range []string{"deployment/deployment", "statefulset/statefulset", "replicaset/replicaset", "replicationcontroller/replicationcontroller"} {
			k.becomes(replicas, "{.status.readyReplicas}", workload)
		}
	}
}

// rolls changes what is no version, restarts and rolls back: the old violations only warn.
func (k kubectl) rolls() {
	k.t.Helper()
	all := []string{"deployment/deployment", "statefulset/statefulset", "daemonset/daemonset"}
	for _, step := range [][]string{{"set", "env", "LOG=debug"}, {"rollout", "restart"}, {"rollout", "undo"}} {
		for _, workload := range all {
			args := append(slices.Clone(step[:2]), workload)
			_, warnings := k.works("", append(args, step[2:]...)...)
			if want := "Warning: image.no_version (as before): "; !strings.Contains(warnings, want) {
				k.t.Errorf("kubectl %s warned %q, want %q", strings.Join(args, " "), warnings, want)
			}
			k.works("", "rollout", "status", workload, "--timeout="+patience.String())
		}
	}
}

// finishesJobs resumes the Job and waits until the CronJob fires: with jobs that it had not made
// before.
func (k kubectl) finishesJobs(firedBefore string) {
	k.t.Helper()
	k.silent("", "patch", "job/job", "--type=merge", `--patch={"spec":{"suspend":false}}`)
	k.becomes("1", "{.status.succeeded}", "job/job")
	fired := ""
	eventually(k.t, func() bool {
		fired = k.get(`{range .items[*]}{.metadata.uid} {.status.succeeded}{"\n"}{end}`, "jobs", "-l", "app=cronjob")
		for line := range strings.Lines(fired) {
			uid, succeeded, _ := strings.Cut(strings.TrimSpace(line), " ")
			if !strings.Contains(firedBefore, uid) && succeeded == "1" {
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprintf("the CronJob has fired %q, and before %q", fired, firedBefore) })
}

// refusesNewViolations checks that each violation does to a new root what its rule says.
func (k kubectl) refusesNewViolations(codes []string) {
	k.t.Helper()
	set := builtIn(k.t)
	for _, code := range codes {
		root := manifest(k.t, deployment("new", 1, violations()[code]))
		result := k.run(root, "apply", "-f", "-", "--dry-run=server")
		switch set.Rule(code).Mode {
		case policy.ModeDeny:
			if result.ExitCode == 0 || !strings.Contains(result.Stderr, "- "+code+" at spec.template.") {
				k.t.Errorf("a new violation of %s was not refused: %s%s", code, result.Stdout, result.Stderr)
			}
		case policy.ModeWarn:
			if result.ExitCode != 0 || !strings.Contains(result.Stderr, "Warning: "+code+": ") {
				k.t.Errorf("a new violation of %s was not admitted with a warning: %s%s", code, result.Stdout, result.Stderr)
			}
		default:
			if result.ExitCode != 0 || result.Stderr != "" {
				k.t.Errorf("a new violation of %s was not admitted silently: %s%s", code, result.Stdout, result.Stderr)
			}
		}
	}
}

// ratchets checks that an old violation does not excuse a new one.
func (k kubectl) ratchets() {
	k.t.Helper()
	name := deploymentOf("image.no_version")
	untagged := violations()["image.no_version"]
	worse := manifest(k.t, deployment(name, 1, untagged, program("another", "redis")))
	stderr := k.fails(worse, "apply", "-f", "-")
	for _, want := range []string{`container "another" uses image redis`, `Warning: image.no_version (as before): container "untagged" uses image nginx`} {
		if !strings.Contains(stderr, want) {
			k.t.Errorf("a second violation printed %q, want %q", stderr, want)
		}
	}
	same := deployment(name, 1, untagged, program("another", "redis:7.4.1"))
	stdout, stderr := k.works(manifest(k.t, same), "apply", "-f", "-")
	if want := "deployment.apps/" + name + " configured\n"; stdout != want {
		k.t.Errorf("the same change without it printed %q, want %q", stdout, want)
	}
	if want := "Warning: image.no_version (as before): container \"untagged\" uses image nginx, which does not say which version runs\n"; stderr != want {
		k.t.Errorf("the same change without it warned %q, want %q", stderr, want)
	}
	// What is mended stays mended: nothing is as before then.
	mended := manifest(k.t, deployment(name, 1, program("untagged", "nginx:1.27.3")))
	k.silent(mended, "apply", "-f", "-")
	if stderr := k.fails(manifest(k.t, same), "apply", "-f", "-"); !strings.Contains(stderr, "- image.no_version at spec.template.spec.containers[0].image") {
		k.t.Errorf("the old violation came back: %q", stderr)
	}
}
