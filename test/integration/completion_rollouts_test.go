package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quiet is how long nothing may happen after the last change. Controllers that disagree with a
// webhook make a ReplicaSet every third of a second.
const quiet = 12 * time.Second

// everything completes all that can be completed, templates too.
const everything = labelled + `  resources:
    templates: true
    classes:
      - main: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
        init: {requests: {cpu: 50m, memory: 32Mi}, limits: {memory: 32Mi}}
`

// rollouts are the templates that controllers have kept, counted by their owner, such as
// "Deployment/web": each is one rollout.
func (k kubectl) rollouts() map[string]int {
	k.t.Helper()
	count := map[string]int{}
	for owner := range strings.FieldsSeq(k.get(`{range .items[*]}{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name} {end}`, "replicasets,controllerrevisions")) {
		count[owner]++
	}
	return count
}

// counted is a workload whose rollouts are counted.
type counted struct {
	kubectl
	workload string // such as deployment/web
	owner    string // as rollouts counts it
	want     int
}

func (k kubectl) counting(kind, name string) *counted {
	return &counted{kubectl: k, workload: strings.ToLower(kind) + "/" + name, owner: kind + "/" + name}
}

// after runs kubectl and checks that it made so many rollouts.
func (r *counted) after(more int, stdin string, args ...string) {
	r.t.Helper()
	r.works(stdin, args...)
	r.settled(more, strings.Join(args, " "))
}

// settled waits until the workload is as it is wanted, and checks that this made so many rollouts.
func (r *counted) settled(more int, what string) {
	r.t.Helper()
	r.works("", "rollout", "status", r.workload, "--timeout="+patience.String())
	r.want += more
	if got := r.rollouts()[r.owner]; got != r.want {
		r.t.Errorf("%s has had %d rollouts after %s, want %d", r.owner, got, what, r.want)
		r.want = got // each step is judged by itself
	}
}

// stays checks that nothing moves once nobody changes anything.
func (k kubectl) stays() {
	k.t.Helper()
	before, generations := k.rollouts(), k.generations()
	time.Sleep(quiet)
	if diff := cmp.Diff(before, k.rollouts()); diff != "" {
		k.t.Errorf("rollouts go on without a change (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(generations, k.generations()); diff != "" {
		k.t.Errorf("objects change without a request of anybody (-before +after):\n%s", diff)
	}
	k.onlyRootsMutated()
	k.noFailedCreates()
	k.noControllerRefused()
}

// generations are how often each workload has been changed.
func (k kubectl) generations() map[string]string {
	k.t.Helper()
	generations := map[string]string{}
	for line := range strings.Lines(k.get(`{range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{"\n"}{end}`, "deployments,statefulsets,daemonsets,replicasets")) {
		object, generation, _ := strings.Cut(strings.TrimSpace(line), " ")
		generations[object] = generation
	}
	return generations
}

// parts says what of an artifact a template has: its images, volumes and mounts.
func (k kubectl) parts(template string, args ...string) string {
	k.t.Helper()
	const parts = `{range %[1]sspec.initContainers[*]}{.name}={.image} {end}{%[1]sspec.volumes[?(@.emptyDir)].name} {%[1]sspec.containers[0].volumeMounts[?(@.mountPath=="/usr/local/tomcat/webapps")].name}`
	return k.get(fmt.Sprintf(parts, template), args...)
}

const inTemplate = ".spec.template."

// injected is what parts says of a template with a version of the shop.
func injected(version string) string {
	const volume, mount = "artifact", "artifact"
	return "artifact=" + shop + version + " " + volume + " " + mount
}

// TestOneRolloutPerChange is why completion can be switched on: all that it adds comes with the
// change that somebody makes.
func TestOneRolloutPerChange(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "rollouts", completion: everything})
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			name := strings.ToLower(kind)
			k := in(t, "rollouts-"+name, "rollouts")
			r := k.counting(kind, name)
			v1, v2 := shopWorkload(t, kind, "1.0.0"), shopWorkload(t, kind, "2.0.0")

			r.after(1, v1, "apply", "-f", "-")
			if got := k.parts(inTemplate, r.workload); got != injected("1.0.0") {
				t.Errorf("the template has %q, want %q", got, injected("1.0.0"))
			}
			r.after(0, v1, "apply", "-f", "-")
			r.after(0, "", "label", r.workload, "team=shop")
			r.after(0, "", "annotate", r.workload, "note=unrelated")
			if kind != "DaemonSet" {
				r.after(0, "", "scale", "--replicas=3", r.workload)
				autoscale := []string{"patch", r.workload, "--subresource=scale", "--type=merge", `--patch={"spec":{"replicas":2}}`}
				r.after(0, "", append(as("system:serviceaccount:kube-system:horizontal-pod-autoscaler"), autoscale...)...)
			}
			r.after(0, "", "patch", r.workload, "--subresource=status", "--type=merge", `--patch={"status":{"observedGeneration":1}}`)
			r.after(1, "", "rollout", "restart", r.workload)
			r.after(1, "", "set", "image", r.workload, "tomcat=tomcat:9.0.90")
			// The client's apply keeps the restart, and takes its own image back.
			r.after(1, v2, "apply", "-f", "-")
			if got := k.parts(inTemplate, r.workload); got != injected("2.0.0") {
				t.Errorf("the template has %q, want %q", got, injected("2.0.0"))
			}
			r.after(0, "", "rollout", "undo", r.workload)
			if got := k.parts(inTemplate, r.workload); got != injected("1.0.0") {
				t.Errorf("after the rollback the template has %q, want %q", got, injected("1.0.0"))
			}
			r.after(0, "", "rollout", "undo", r.workload)
			if got := k.parts(inTemplate, r.workload); got != injected("2.0.0") {
				t.Errorf("after the rollback of the rollback the template has %q, want %q", got, injected("2.0.0"))
			}
			r.after(1, "", "set", "env", r.workload, "--containers=tomcat", "LOG=debug")
			r.after(0, "", "label", r.workload, "team-")
			k.stays()
		})
	}
}

// shopWorkload is a workload of a kind that asks for a version of the shop.
func shopWorkload(t *testing.T, kind, version string) string {
	t.Helper()
	for _, object := range workloads(shopServer(version)) {
		if object.GetObjectKind().GroupVersionKind().Kind == kind {
			return manifest(t, object)
		}
	}
	t.Fatalf("there is no workload of kind %s", kind)
	return ""
}

// TestAnOutageOfCompletionMakesNoRollout ends the server that completes, while another judges.
func TestAnOutageOfCompletionMakesNoRollout(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "outage", only: validates, completion: everything})
	s := completer(t, "outage-completes", "outage", everything)
	k := in(t, "outage", "outage")
	r := k.counting("Deployment", "web")
	r.after(1, manifest(t, deployment("web", 1, shopServer("1.0.0"))), "apply", "-f", "-")

	s.kill()

	// What is complete stays complete without us.
	r.after(1, "", "set", "image", r.workload, "tomcat=tomcat:9.0.90")
	r.after(0, "", "scale", "--replicas=2", r.workload)
	// What asks for nothing is admitted as it is.
	plain := k.counting("Deployment", "plain")
	plainManifest := manifest(t, deployment("plain", 1, tomcatServer()))
	plain.after(1, plainManifest, "apply", "-f", "-")
	// What asks is refused, since it is not there.
	golden(t, "completion-outage-refused", k.fails(manifest(t, deployment("new", 1, shopServer("1.0.0"))), "apply", "-f", "-"))
	upgrade := k.fails(manifest(t, deployment("web", 2, shopServer("2.0.0"))), "apply", "-f", "-")
	golden(t, "completion-outage-upgrade-refused", upgrade[strings.Index(upgrade, "admission webhook"):])

	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The return changes nothing by itself, and nothing that somebody changes elsewhere.
	for _, r := range []*counted{r, plain} {
		r.after(0, "", "label", r.workload, "team=shop")
		r.after(0, "", "annotate", r.workload, "note=unrelated")
		r.after(0, "", "scale", "--replicas=1", r.workload)
	}
	plain.after(0, plainManifest, "apply", "-f", "-")
	if got := k.get("{.spec.template.metadata.labels}{.spec.template.spec.containers[0].resources}", plain.workload); got != `{"app":"plain"}{}` {
		t.Errorf("the template that was made during the outage is now %s", got)
	}
	// What was left out comes with the next change of the template.
	plain.after(1, "", "set", "env", plain.workload, "--containers=tomcat", "LOG=debug")
	if got := k.get("{.spec.template.spec.containers[0].resources.requests.cpu}", plain.workload); got != "100m" {
		t.Errorf("the next change of the template brings a request of %q CPU, want 100m", got)
	}
	r.after(1, manifest(t, deployment("web", 1, shopServer("2.0.0"))), "apply", "-f", "-")
	if got := k.parts(inTemplate, r.workload); got != injected("2.0.0") {
		t.Errorf("the template has %q, want %q", got, injected("2.0.0"))
	}
	k.stays()
}

// otherwise is everything with other values throughout: another path, command, labels and resources.
const otherwise = `completion:
  profiles:
    - name: tomcat-as-root-application
      match: {servers: [tomcat]}
      source: /shop.war
      rename: ROOT.war
      target: /usr/local/tomcat/webapps
      hideTarget: true
      readOnly: true
      init: {mountPath: /copied, user: 1000}
  labels:
    name: true
    values: {component: server}
  resources:
    templates: true
    classes:
      - main: {requests: {cpu: 200m, memory: 96Mi}, limits: {memory: 256Mi}}
`

// TestReplicasThatDisagreeMakeNoRollout is what happens while Plainspec itself is rolled out: the API
// server asks now the one, now the other. Here it asks both about each request.
func TestReplicasThatDisagreeMakeNoRollout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ name, first, second string }{
		"both inject and label, each in its way": {name: "disagree", first: everything, second: otherwise},
		"only one labels and gives resources":    {name: "disagree-less", first: everything, second: profile},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownServer(t, serverOptions{name: tc.name, only: validates, completion: tc.first})
			completer(t, tc.name+"-a", tc.name, tc.first)
			completer(t, tc.name+"-b", tc.name, tc.second)
			k := in(t, tc.name, tc.name)
			r := k.counting("Deployment", "web")
			r.after(1, manifest(t, deployment("web", 1, shopServer("1.0.0"))), "apply", "-f", "-")
			r.after(0, "", "label", r.workload, "team=shop")
			r.after(0, "", "scale", "--replicas=2", r.workload)
			r.after(1, "", "rollout", "restart", r.workload)
			r.after(1, manifest(t, deployment("web", 1, shopServer("2.0.0"))), "apply", "-f", "-")
			r.after(0, manifest(t, deployment("web", 1, shopServer("2.0.0"))), "apply", "-f", "-")
			if got := k.parts(inTemplate, r.workload); got != injected("2.0.0") {
				t.Errorf("the template has %q, want %q", got, injected("2.0.0"))
			}
			r.after(0, "", "rollout", "undo", r.workload)
			r.after(0, "", "rollout", "undo", r.workload)
			k.stays()
		})
	}
}

// TestAChangedConfigurationMakesNoRollout changes the configuration between any two requests, also
// while a Deployment is paused.
func TestAChangedConfigurationMakesNoRollout(t *testing.T) {
	t.Parallel()
	s := ownServer(t, serverOptions{name: "reconfigured", completion: everything})
	k := in(t, "reconfigured", "reconfigured")
	r := k.counting("Deployment", "web")
	r.after(1, manifest(t, deployment("web", 1, shopServer("1.0.0"))), "apply", "-f", "-")

	s.reconfigure(t, otherwise)
	r.after(0, "", "label", r.workload, "team=shop")
	r.after(0, "", "scale", "--replicas=2", r.workload)
	r.after(1, "", "set", "env", r.workload, "--containers=tomcat", "LOG=debug")
	if got := k.get("{.spec.template.spec.initContainers[*].command}", r.workload); got != `["cp","/shop.war","/copied/ROOT.war"]` {
		t.Errorf("after a change of the template the copy's command is %s, want that of the new configuration", got)
	}

	s.reconfigure(t, everything)
	r.after(0, "", "annotate", r.workload, "note=unrelated")
	r.after(0, "", "rollout", "undo", r.workload) // to the template that this configuration has made
	r.after(1, "", "rollout", "undo", r.workload) // to one of the other: it is completed as any change

	k.silent("", "rollout", "pause", r.workload)
	s.reconfigure(t, otherwise)
	k.silent("", "rollout", "resume", r.workload)
	r.settled(0, "a pause across a change of the configuration")

	k.silent("", "rollout", "pause", r.workload)
	k.silent("", "set", "env", r.workload, "--containers=tomcat", "LOG=info")
	s.reconfigure(t, everything)
	k.silent("", "label", r.workload, "team-")
	k.silent("", "rollout", "resume", r.workload)
	r.settled(1, "a change during a pause, across a change of the configuration")
	if got := k.get("{.spec.template.spec.initContainers[*].command}", r.workload); got != `["cp","/shop.war","/copied/ROOT.war"]` {
		t.Errorf("the copy's command is %s, want that of the configuration under which the template was changed", got)
	}

	s.reconfigure(t, "")
	r.after(0, "", "label", r.workload, "team=shop")
	r.after(0, "", "scale", "--replicas=1", r.workload)
	k.stays()
}

func TestASuspendedJobIsResumedAsItWasCompleted(t *testing.T) {
	t.Parallel()
	s := ownServer(t, serverOptions{name: "suspended", completion: everything})
	k := in(t, "suspended", "suspended")
	k.silent(shopWorkload(t, "Job", "1.0.0"), "apply", "-f", "-")
	if got := k.parts(inTemplate, "job/job"); got != injected("1.0.0") {
		t.Fatalf("the Job's template has %q, want %q", got, injected("1.0.0"))
	}
	template := k.get("{.spec.template}", "job/job")
	annotate := func(annotation, value string) []string {
		return []string{"patch", "job/job", "--type=merge", fmt.Sprintf(`--patch={"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, annotation, value)}
	}
	golden(t, "completion-job-refused", k.fails("", annotate("plainspec.dev/artifact", shop+"2.0.0")...))
	s.reconfigure(t, otherwise)
	// The API server lets labels and annotations of a suspended Job's template change, and nothing else.
	k.silent("", annotate("note", "unrelated")...)
	k.silent("", "label", "job/job", "team=shop")
	if got := strings.Replace(k.get("{.spec.template}", "job/job"), `"note":"unrelated",`, "", 1); got != template {
		t.Errorf("an annotation of the template made it\n%s\nof\n%s", got, template)
	}
	k.silent("", "patch", "job/job", "--type=merge", `--patch={"spec":{"suspend":false}}`)
	k.becomes("1", "{.status.succeeded}", "job/job")
	if got := k.parts(".items[0].", "pods", "-l", "batch.kubernetes.io/job-name=job"); got != injected("1.0.0") {
		t.Errorf("the Job's Pod has %q, want %q", got, injected("1.0.0"))
	}
	k.onlyRootsMutated()
	k.noFailedCreates()
	k.noControllerRefused()
}

// TestWhatControllersMakeCarriesTheArtifactOnce looks at the Pods of each kind, and at the Jobs of a
// CronJob.
func TestWhatControllersMakeCarriesTheArtifactOnce(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "children", completion: everything})
	k := in(t, "children", "children")
	kinds := map[string]string{
		"Deployment": "apps", "StatefulSet": "apps", "DaemonSet": "apps", "ReplicaSet": "apps", "ReplicationController": "", "Job": "batch", "CronJob": "batch",
	}
	for kind := range kinds {
		k.silent(shopWorkload(t, kind, "1.0.0"), "apply", "-f", "-")
	}
	k.silent("", "patch", "job/job", "--type=merge", `--patch={"spec":{"suspend":false}}`)
	for kind := range kinds {
		pods := []string{"pods", "-l", "app=" + strings.ToLower(kind)}
		eventually(t, func() bool { return k.get("{.items[*].metadata.name}", pods...) != "" }, func() string { return kind + " has no Pods" })
		if got := k.parts(".items[0].", pods...); got != injected("1.0.0") {
			t.Errorf("the Pod of a %s has %q, want %q", kind, got, injected("1.0.0"))
		}
	}
	if got := k.parts(".items[0].spec.template.", "jobs", "-l", "app=cronjob"); got != injected("1.0.0") {
		t.Errorf("the Job of a CronJob has %q, want %q", got, injected("1.0.0"))
	}
	k.becomes("1", "{.items[0].status.succeeded}", "jobs", "-l", "app=cronjob")
	k.onlyRootsMutated()
	k.noFailedCreates()
	k.noControllerRefused()
}

// TestSettingTheEnvironmentOfAllContainersKeepsTheInjectedOne: kubectl set env changes init
// containers, too, unless it is told which. The variable stays with the injected one when its
// artifact is exchanged.
func TestSettingTheEnvironmentOfAllContainersKeepsTheInjectedOne(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "set-env", completion: profile})
	k := in(t, "set-env", "set-env")
	r := k.counting("Deployment", "web")
	r.after(1, manifest(t, deployment("web", 1, shopServer("1.0.0"))), "apply", "-f", "-")
	if _, warnings := k.works("", "set", "env", r.workload, "LOG=debug"); warnings != "" {
		t.Errorf("set env is warned about: %s", warnings)
	}
	r.settled(1, "set env")
	r.after(1, manifest(t, deployment("web", 1, shopServer("2.0.0"))), "apply", "-f", "-")
	if got := k.parts(inTemplate, r.workload); got != injected("2.0.0") {
		t.Errorf("the template has %q, want %q", got, injected("2.0.0"))
	}
	if got := k.get("{.spec.template.spec.initContainers[0].env[*].name}", r.workload); got != "LOG" {
		t.Errorf("the injected container has the variables %q, want LOG", got)
	}
}
