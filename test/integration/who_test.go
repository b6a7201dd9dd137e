package integration

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// as is kubectl's arguments to ask as somebody else with all rights.
func as(user string, groups ...string) []string {
	args := []string{"--as=" + user, "--as-group=system:masters"}
	for _, group := range groups {
		args = append(args, "--as-group="+group)
	}
	return args
}

func TestOnlyAControllerMakesChildren(t *testing.T) {
	t.Parallel()
	k := in(t, "who", "")
	k.silent(manifest(t, deployment("web", 0, program("web", "example.com/web:1.0.0"))), "apply", "-f", "-")
	eventually(t, func() bool { return k.get("{.items[*].metadata.name}", "replicasets") != "" }, func() string { return "the Deployment has no ReplicaSet" })
	yes := true
	owned := pod("child", program("web", "nginx"))
	owned.Labels = nil // no controller adopts or deletes it
	owned.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Controller: &yes,
		Name: k.get("{.items[0].metadata.name}", "replicasets"), UID: types.UID(k.get("{.items[0].metadata.uid}", "replicasets")),
	}}
	foreign := owned.DeepCopy()
	foreign.OwnerReferences[0].Kind, foreign.OwnerReferences[0].APIVersion = "Widget", "example.com/v1"
	free := pod("free", program("web", "nginx"))
	mirror := pod("mirror", program("web", "nginx"))
	mirror.Spec.NodeName = "fake-node-1"
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}

	const controller = "system:serviceaccount:kube-system:replicaset-controller"
	tests := map[string]struct {
		object *corev1.Pod
		as     []string
		want   string // of what refuses; empty if it is admitted
	}{
		"a controller's child is admitted":                             {object: owned, as: as(controller)},
		"a person's child is a root":                                   {object: owned, as: as("ann"), want: "roots.validate.plainspec.dev"},
		"a controller's Pod without an owner is a root":                {object: free, as: as(controller), want: "roots.validate.plainspec.dev"},
		"another controller does not make Pods from ReplicaSets":       {object: owned, as: as("system:serviceaccount:kube-system:daemon-set-controller"), want: "children.validate.plainspec.dev"},
		"a controller makes no children from what it does not control": {object: foreign, as: as(controller), want: "children.validate.plainspec.dev"},
		"another service account makes no children":                    {object: owned, as: as("system:serviceaccount:who:replicaset-controller"), want: "roots.validate.plainspec.dev"},
		"a kubelet's mirror Pod is admitted":                           {object: mirror, as: as("system:node:fake-node-1", "system:nodes")},
		"a person's mirror Pod is judged":                              {object: mirror, as: as("ann"), want: "roots.validate.plainspec.dev"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := kubectl{t: t, namespace: k.namespace}
			text, err := json.Marshal(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			result := k.run(string(text), append(tc.as, "create", "-f", "-", "--dry-run=server")...)
			if tc.want == "" {
				if result.ExitCode != 0 || result.Stderr != "" {
					t.Errorf("kubectl create: exit code %d: %s; want silence", result.ExitCode, result.Stderr)
				}
				return
			}
			if want := `admission webhook "` + tc.want + `" denied the request: Pod who/`; !strings.Contains(result.Stderr, want) {
				t.Errorf("kubectl create printed %q, want %q", result.Stderr+result.Stdout, want)
			}
		})
	}
}

func TestSubresourcesAreNotJudged(t *testing.T) {
	t.Parallel()
	s, err := shared.newServer(t.Context(), serverOptions{name: "subresources"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	k := in(t, "subresources", "subresources")
	k.silent(manifest(t, deployment("web", 1, program("web", "nginx")), pod("bare", program("web", "nginx"))), "apply", "-f", "-")
	k.becomes("1", "{.status.readyReplicas}", "deployment/web")
	k.becomes("Running", "{.status.phase}", "pod/bare")
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := s.logged(`"msg":"`)
	k.silent("", "scale", "--replicas=2", "deployment/web")
	k.silent("", "patch", "deployment/web", "--subresource=status", "--type=merge", `--patch={"status":{"observedGeneration":1}}`)
	k.silent("", "label", "deployment/web", "pod/bare", "team=shop")
	k.silent("", "delete", "pod/bare")
	k.becomes("2", "{.status.readyReplicas}", "deployment/web")
	// The Deployment's second Pod is a child.
	if got := s.logged(`"msg":"`) - asked; got != 1 {
		t.Errorf("the server was asked %d times, want once, for the controller's Pod; it said: %s", got, s.lastWords())
	}
}

func TestADryRunIsJudged(t *testing.T) {
	t.Parallel()
	k := in(t, "dry-run", "")
	golden(t, "dry-run-refused", k.fails("", "create", "deployment", "web", "--image=nginx", "--dry-run=server"))
	if got, want := k.silent("", "create", "deployment", "web", "--image=nginx:1.27.3", "--dry-run=server"), "deployment.apps/web created (server dry run)\n"; got != want {
		t.Errorf("kubectl create printed %q, want %q", got, want)
	}
}
