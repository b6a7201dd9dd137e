package integration

import (
	"strings"
	"testing"
)

func TestWarnAdmitsWithWarnings(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "warn", enforcement: "warn"})
	k := in(t, "warn", "warn")
	stdout, stderr := k.works("", "apply", "-f", "examples/02-volume-hidden-version.yaml", "-f", "examples/04-nginx-deployment-and-service.yaml")
	if want := "pod/javaweb-2 created\ndeployment.apps/nginx created\nservice/nginx created\n"; stdout != want {
		t.Errorf("kubectl apply printed %q, want %q", stdout, want)
	}
	golden(t, "warn", stderr)
	k.becomes("3", "{.status.readyReplicas}", "deployment/nginx")
	k.noFailedCreates()
}

func TestObserveAdmitsSilently(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "observe", enforcement: "observe"})
	k := in(t, "observe", "observe")
	if got, want := k.silent("", "apply", "-f", "examples/05-ubuntu-vm.yaml"), "pod/my-vm-1 created\n"; got != want {
		t.Errorf("kubectl apply printed %q, want %q", got, want)
	}
	var noted []string
	for _, event := range k.audited() {
		if event.Verb == "create" && event.ObjectRef.Resource == "pods" && event.ObjectRef.Subresource == "" {
			noted = append(noted, event.Annotations["roots.validate.plainspec.dev/audit"])
		}
	}
	if got := strings.Join(noted, " "); got != "image.no_version" {
		t.Errorf("the audit log notes %q, want image.no_version", got)
	}
}
