package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/workload"
)

// profile is a completion that injects into shopServer, and nothing else.
const profile = `completion:
  profiles:
    - name: tomcat
      match: {servers: [tomcat]}
      source: /shop.war
      target: /usr/local/tomcat/webapps
      hideTarget: true
`

// labelled is profile with all labels.
const labelled = profile + `  labels:
    version: true
    name: true
    instance: true
    values: {component: web, part-of: store, managed-by: platform}
`

// shop is the repository of the artifact that the tests ask for.
const shop = "example.com/shop:"

// tomcatServer is a Tomcat without applications.
func tomcatServer() violation { return program("tomcat", "tomcat:9.0.89") }

// shopServer is a Tomcat that asks for a version of the shop.
func shopServer(version string) violation {
	v := tomcatServer()
	v.annotations = map[string]string{workload.ArtifactAnnotation: shop + version}
	return v
}

// reconfigure gives a running server another completion, as a rollout of Plainspec does.
func (s *server) reconfigure(t *testing.T, completion string) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.options.completion = completion
	file := filepath.Join(s.dir, "config.yaml")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(config), "completion:")
	if err := os.WriteFile(file, []byte(head+completion), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// completer prepares a server that only completes, in the namespaces of another, which judges.
func completer(t *testing.T, name, of, completion string) *server {
	t.Helper()
	return ownServer(t, serverOptions{name: name, namespacesOf: of, only: completes, completion: completion})
}

// mutations are the webhooks of Plainspec that the API server asked to complete the object of a
// request, each with whether it changed anything.
func (e *auditEvent) mutations() map[string]bool {
	mutations := map[string]bool{}
	for key, value := range e.Annotations {
		if !strings.HasPrefix(key, "mutation.webhook.admission.k8s.io/") {
			continue
		}
		var by struct {
			Webhook string `json:"webhook"`
			Mutated bool   `json:"mutated"`
		}
		if err := json.Unmarshal([]byte(value), &by); err == nil && strings.HasSuffix(by.Webhook, ".mutate.plainspec.dev") {
			mutations[by.Webhook] = mutations[by.Webhook] || by.Mutated
		}
	}
	return mutations
}

// onlyRootsMutated checks that nothing that controllers asked for was changed, but Pods; a template
// that differs from what its controller wants is made again without end.
func (k kubectl) onlyRootsMutated() {
	k.t.Helper()
	mutated := false
	for _, event := range k.audited() {
		for webhook, changed := range event.mutations() {
			mutated = mutated || changed
			if event.byController() && event.ObjectRef.Resource != "pods" {
				k.t.Errorf("%s asked %s about the %s %s of %s", event.Verb, webhook, event.ObjectRef.Resource, event.ObjectRef.Name, event.User.Username)
			}
		}
	}
	if !mutated {
		k.t.Error("the audit log says of no request that Plainspec completed its object: nothing was checked")
	}
}

// wholeShop is a Pod spec that has what an artifact's injection adds, written by hand.
func wholeShop(name, version string) corev1.PodSpec {
	spec := template(map[string]string{}, tomcatServer()).Spec
	spec.Volumes = []corev1.Volume{{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	spec.InitContainers = []corev1.Container{{
		Name: name, Image: shop + version, Command: []string{"cp", "/shop.war", "/copied"},
		VolumeMounts: []corev1.VolumeMount{{Name: name, MountPath: "/copied"}},
	}}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/usr/local/tomcat/webapps"}}
	return spec
}
