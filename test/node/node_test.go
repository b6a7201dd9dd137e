package node_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/test/cluster"
)

// patience bounds every wait: what it waits for takes seconds on an idle machine.
const patience = 2 * time.Minute

// pod is a Pod's manifest with the members that put it on a process node.
const pod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  nodeSelector: {plainspec.dev/local-node: processes}
  tolerations: [{key: plainspec.dev/local-node, operator: Exists}]
`

const everything = pod + `
  terminationGracePeriodSeconds: 20
  serviceAccountName: reader
  containers:
    - name: app
      image: example.com/app:1.0
      args:
        - --name=$(NAME)/$(NOBODY)/$$(NAME)
        - --listen=:8080
        - --config=/etc/app/config/sub/config.yaml
        - --secret
        - /etc/app/password
        - --drain=1s
      env:
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
        - {name: GREETING, value: "hello $(NAME)"}
      resources: {limits: {memory: 64Mi, cpu: 100m}}
      ports: [{name: web, containerPort: 8080}]
      readinessProbe: {periodSeconds: 1, httpGet: {path: /ready, port: web}}
      livenessProbe: {periodSeconds: 1, failureThreshold: 2, httpGet: {path: /alive, port: 8080}}
      volumeMounts:
        - {name: config, mountPath: /etc/app/config}
        - {name: all, mountPath: /etc/app}
        - {name: scratch, mountPath: /tmp}
  volumes:
    - {name: scratch, emptyDir: {}}
    - {name: config, configMap: {name: settings, items: [{key: config.yaml, path: sub/config.yaml}]}}
    - name: all
      projected:
        sources:
          - secret: {name: credentials}
          - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
`

// story is a cluster with one process node.
type story struct {
	*testing.T
	cluster *cluster.Cluster
}

func start(t *testing.T) *story {
	t.Helper()
	program := filepath.Join(t.TempDir(), "app")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/app").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{
		Controllers: true, Nodes: 1, ProcessNodes: 1, Progress: t.Output(), Images: map[string]string{"example.com/app:1.0": program},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("pgrep", "-f", program).Output(); err == nil { //nolint:noctx // the test has ended
			t.Errorf("processes outlive the cluster: %s", out)
		}
	})
	return &story{T: t, cluster: c}
}

func (s *story) kubectl(stdin string, args ...string) string {
	s.Helper()
	result, err := s.cluster.KubectlStdin(s.Context(), strings.NewReader(stdin), args...)
	if err != nil {
		s.Fatal(err)
	}
	if result.ExitCode != 0 {
		s.Fatalf("kubectl %q: exit code %d: %s", args, result.ExitCode, result.Stderr)
	}
	return result.Stdout
}

// create makes a Pod from a manifest.
func (s *story) create(manifest, name string) {
	s.Helper()
	s.kubectl(strings.ReplaceAll(manifest, "NAME}\nspec", name+"}\nspec"), "apply", "-f", "-")
}

// get returns a field of a Pod.
func (s *story) get(name, path string) string {
	s.Helper()
	return s.kubectl("", "get", "pod", name, "-o", "jsonpath={"+path+"}")
}

// until waits until a field of a Pod has a value.
func (s *story) until(name, path, want string) {
	s.Helper()
	got := ""
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(50 * time.Millisecond) {
		if got = s.get(name, path); got == want {
			return
		}
	}
	s.Fatalf("%s of %s is %q, want %q", path, name, got, want)
}

const (
	ready    = `.status.conditions[?(@.type=="Ready")].status`
	restarts = ".status.containerStatuses[0].restartCount"
	waiting  = ".status.containerStatuses[0].state.waiting"
)

// ask asks a Pod's process, through the API server.
func (s *story) ask(name, path string) string {
	s.Helper()
	return s.kubectl("", "get", "--raw", "/api/v1/namespaces/default/pods/"+name+":8080/proxy"+path)
}

// told is what a process says about itself.
type told struct {
	Args, Env      []string
	Config, Secret string
}

func (s *story) told(name string) told {
	s.Helper()
	var t told
	if err := json.Unmarshal([]byte(s.ask(name, "/")), &t); err != nil {
		s.Fatal(err)
	}
	return t
}

func TestPodRunsAsAProcess(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.kubectl("", "create", "serviceaccount", "reader")
	s.create(everything, "one")

	// It waits for what its volumes show.
	s.until("one", waiting+".message", `make volume "config": configmaps "settings" not found`)
	if got := s.get("one", waiting+".reason"); got != "ContainerCreating" {
		t.Errorf("it waits as %q, want ContainerCreating", got)
	}
	s.kubectl("", "create", "configmap", "settings", "--from-literal=config.yaml=first", "--from-literal=other=unused")
	s.until("one", waiting+".message", `make volume "all": secrets "credentials" not found`)
	s.kubectl("", "create", "secret", "generic", "credentials", "--from-literal=password=secret")
	s.until("one", ready, "True")

	s.checkHowItRuns()

	// Volumes follow, and the process stays.
	s.kubectl("", "patch", "configmap", "settings", "-p", `{"data":{"config.yaml":"second"}}`)
	for begin := time.Now(); s.told("one").Config != "second"; time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("the volume does not follow its ConfigMap")
		}
	}

	// Probes decide.
	s.ask("one", "/do/unready")
	s.until("one", ready, "False")
	s.ask("one", "/do/ready")
	s.until("one", ready, "True")
	if got := s.get("one", restarts); got != "0" {
		t.Errorf("it was restarted %s times, want 0", got)
	}
	s.ask("one", "/do/die")
	s.until("one", restarts, "1")
	s.until("one", ready, "True")
	if result, err := s.cluster.Kubectl(t.Context(), "get", "--raw", "/api/v1/namespaces/default/pods/one:8080/proxy/do/exit"); err != nil || result.ExitCode == 0 {
		t.Errorf("a process that exits answered: %v", err)
	}
	s.until("one", restarts, "2")
	s.until("one", ready, "True")
	if got := s.get("one", ".status.containerStatuses[0].lastState.terminated.exitCode"); got != "3" {
		t.Errorf("it ended with exit code %s, want 3", got)
	}

	// It may finish when it is deleted.
	begin := time.Now()
	s.kubectl("", "delete", "pod", "one")
	if took := time.Since(begin); took < time.Second || took > 15*time.Second {
		t.Errorf("it was gone after %s, want after its drain of a second and before its grace period of 20", took)
	}
}

// checkHowItRuns compares what ran with what the Pod says.
func (s *story) checkHowItRuns() {
	s.Helper()
	got := s.told("one")
	if diff := cmp.Diff([]string{"first", "secret"}, []string{got.Config, got.Secret}); diff != "" {
		s.Errorf("files (-want +got):\n%s", diff)
	}
	folder := regexp.MustCompile(`/[^ =]*/volumes/`)
	address := regexp.MustCompile(`127\.\d+\.\d+\.\d+`)
	var args []string
	for _, arg := range got.Args {
		args = append(args, address.ReplaceAllString(folder.ReplaceAllString(arg, "VOLUMES/"), "ADDRESS"))
	}
	s.Logf("the process runs with %q", got.Args)
	want := []string{
		"--name=one/$(NOBODY)/$(NAME)", "--listen=ADDRESS:8080", "--config=VOLUMES/config/sub/config.yaml",
		"--secret", "VOLUMES/all/password", "--drain=1s",
	}
	if diff := cmp.Diff(want, args); diff != "" {
		s.Errorf("arguments (-want +got):\n%s", diff)
	}
	// The address it listens on is the loopback side of the one that the Pod tells.
	if listens, tells := address.FindString(strings.Join(got.Args, " ")), s.get("one", ".status.podIP"); "10."+strings.TrimPrefix(listens, "127.") != tells {
		s.Errorf("it listens on %s, and the Pod tells %s", listens, tells)
	}
	var names []string
	kubeconfig := ""
	for _, variable := range got.Env {
		name, value, _ := strings.Cut(variable, "=")
		names = append(names, name)
		if name == "KUBECONFIG" {
			kubeconfig = value
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"GREETING", "HOSTNAME", "KUBECONFIG", "LIMIT", "NAME", "NAMESPACE", "PATH"}, names); diff != "" {
		s.Errorf("variables (-want +got):\n%s", diff)
	}
	for _, variable := range []string{"GREETING=hello one", "LIMIT=67108864", "NAMESPACE=default"} {
		if !slices.Contains(got.Env, variable) {
			s.Errorf("the environment %q lacks %q", got.Env, variable)
		}
	}
	// What it asks the API server, it asks as its service account.
	whoami, err := s.cluster.KubectlAs(s.Context(), kubeconfig, nil, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.extra['authentication\\.kubernetes\\.io/pod-name']}")
	if err != nil {
		s.Fatal(err)
	}
	if want := `system:serviceaccount:default:reader ["one"]`; whoami.Stdout != want {
		s.Errorf("it is %s%s, want %s", whoami.Stdout, whoami.Stderr, want)
	}
}

func TestWhatTheNodeCannotDoIsSaid(t *testing.T) {
	t.Parallel()
	s := start(t)
	const container = "\n  containers:\n    - name: app\n      image: example.com/app:1.0\n"
	for name, tc := range map[string]struct {
		spec        string
		wantReason  string
		wantMessage string
	}{
		"fields": {
			spec:       container + "      command: [sh]\n      lifecycle: {preStop: {sleep: {seconds: 1}}}\n      livenessProbe: {exec: {command: [ls]}}\n  hostNetwork: true\n  volumes: [{name: disk, hostPath: {path: /}}]\n",
			wantReason: "CreateContainerConfigError",
			wantMessage: "this node runs processes and cannot do what these fields ask for: spec.containers[0].command[0], " +
				"spec.containers[0].lifecycle.preStop.sleep.seconds, spec.containers[0].livenessProbe.exec.command[0], spec.hostNetwork, spec.volumes[0].hostPath.path",
		},
		"image": {
			spec:        "\n  containers: [{name: app, image: example.com/other:1.0}]\n",
			wantReason:  "ErrImagePull",
			wantMessage: `no program stands for image "example.com/other:1.0"`,
		},
		"variable": {
			spec:        container + "      env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a']\"}}}]\n",
			wantReason:  "CreateContainerError",
			wantMessage: `this node does not know the field "metadata.labels['a']"`,
		},
		"exit": {
			spec:        container + "      args: [--no-such-flag]\n",
			wantReason:  "CrashLoopBackOff",
			wantMessage: "back-off 1s after exit code 2",
		},
	} {
		s.create(pod+tc.spec, name)
		s.until(name, waiting+".reason", tc.wantReason)
		if name != "exit" { // it is started again and again
			if diff := cmp.Diff(tc.wantMessage, s.get(name, waiting+".message")); diff != "" {
				t.Errorf("message of %s (-want +got):\n%s", name, diff)
			}
		}
		s.kubectl("", "delete", "pod", name, "--force")
	}
	// Nobody but those who ask for it get there.
	s.kubectl("", "run", "elsewhere", "--image=example.com/app:1.0")
	s.until("elsewhere", ready, "True")
	if got := s.get("elsewhere", ".spec.nodeName"); got != "fake-node-1" {
		t.Errorf("a Pod that does not ask for it is on node %s", got)
	}
}
