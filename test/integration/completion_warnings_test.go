package integration

import (
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestKubectlSaysWhyNothingWasInjected holds literally what people read, from the mildest enforcement to the
// strictest.
func TestKubectlSaysWhyNothingWasInjected(t *testing.T) {
	t.Parallel()
	enforcements := []string{"observe", "warn", "enforce"}
	for _, enforcement := range enforcements {
		ownServer(t, serverOptions{name: "says-" + enforcement, enforcement: enforcement, completion: profile})
	}
	annotated := func(annotations map[string]string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { maps.Copy(d.Spec.Template.Annotations, annotations) }
	}
	tests := map[string]struct {
		name   string
		change func(*appsv1.Deployment)
	}{
		"no profile matches": {name: "no-profile", change: func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Image = "example.com/jetty:12.0.1"
		}},
		"no such profile":        {name: "unknown-profile", change: annotated(map[string]string{"plainspec.dev/artifact-profile": "jetty"})},
		"no such container":      {name: "unknown-container", change: annotated(map[string]string{"plainspec.dev/artifact-container": "jetty"})},
		"the artifact is latest": {name: "latest", change: annotated(shopServer("latest").annotations)},
		"several servers": {name: "ambiguous", change: func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "another", Image: "tomcat:9.0.89"})
		}},
		"asked on the Deployment": {name: "stray", change: func(d *appsv1.Deployment) {
			d.Annotations, d.Spec.Template.Annotations = d.Spec.Template.Annotations, nil
		}},
		"misspelt": {name: "misspelt", change: func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations = map[string]string{"plainspec.dev/artefact": shop + "1.0.0"}
		}},
		"a choice for nothing": {name: "choice", change: func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations = map[string]string{"plainspec.dev/artifact-profile": "tomcat"}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said strings.Builder
			for _, enforcement := range enforcements {
				k := in(t, "says-"+enforcement+"-"+tc.name, "says-"+enforcement)
				d := deployment("web", 0, shopServer("1.0.0"))
				tc.change(d)
				result := k.run(manifest(t, d), "apply", "-f", "-")
				said.WriteString("enforcement: " + enforcement + "\n" + result.Stdout + result.Stderr)
				if result.ExitCode != 0 {
					continue
				}
				if got := k.get("{.spec.template.spec.initContainers}{.spec.template.spec.volumes}", "deployment/web"); got != "" {
					t.Errorf("enforcement %s: the template has %s", enforcement, got)
				}
			}
			golden(t, "completion-says-"+tc.name, said.String())
		})
	}
}
