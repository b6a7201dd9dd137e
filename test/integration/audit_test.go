package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// auditEvent is what is read of an event of audit.k8s.io/v1.
type auditEvent struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// refusedByPlainspec tells whether the request failed because of a webhook of Plainspec, by its
// word or for want of it.
func (e *auditEvent) refusedByPlainspec() bool {
	return e.ResponseStatus.Code >= 400 && strings.Contains(e.ResponseStatus.Message, "plainspec.dev")
}

// byController tells whether Kubernetes itself made the request.
func (e *auditEvent) byController() bool { return strings.HasPrefix(e.User.Username, "system:") }

// failedOpen tells whether a webhook was left out because it did not answer.
func (e *auditEvent) failedOpen() bool {
	for key := range e.Annotations {
		if strings.HasPrefix(key, "failed-open.validating.webhook.admission.k8s.io/") {
			return true
		}
	}
	return false
}

// audited reads what was requested in the namespace, from the API server's audit log.
func (k kubectl) audited() []auditEvent {
	k.t.Helper()
	log, err := os.ReadFile(shared.auditLog)
	if err != nil {
		k.t.Fatal(err)
	}
	var events []auditEvent
	for line := range strings.Lines(string(log)) {
		var event auditEvent
		// The API server may be writing the last line.
		if err := json.Unmarshal([]byte(line), &event); err != nil && strings.HasSuffix(line, "\n") {
			k.t.Fatalf("audit log: %v", err)
		}
		if event.ObjectRef.Namespace == k.namespace {
			events = append(events, event)
		}
	}
	if len(events) == 0 {
		k.t.Fatal("the audit log says nothing about the namespace: nothing would be checked")
	}
	return events
}

// noControllerRefused checks what the controllers asked for in the namespace, and returns the
// codes that Plainspec noted for the audit log when they did.
func (k kubectl) noControllerRefused() map[string]bool {
	k.t.Helper()
	noted, created := map[string]bool{}, 0
	for _, event := range k.audited() {
		if !event.byController() {
			continue
		}
		if event.refusedByPlainspec() {
			k.t.Errorf("%s was refused to %s %s %s: %s", event.User.Username, event.Verb, event.ObjectRef.Resource, event.ObjectRef.Name, event.ResponseStatus.Message)
		}
		if event.Verb == "create" {
			created++
		}
		for code := range strings.SplitSeq(event.Annotations["children.validate.plainspec.dev/audit"], ",") {
			noted[code] = true
		}
	}
	if created == 0 {
		k.t.Error("no controller created anything: nothing was checked")
	}
	return noted
}

// TestTheAuditLogNamesThePolicies is for those who search the API server's audit log.
func TestTheAuditLogNamesThePolicies(t *testing.T) {
	t.Parallel()
	k := in(t, "audit-annotations", "")
	k.fails("", "create", "deployment", "untagged", "--image=nginx")
	k.silent("", "create", "deployment", "tagged", "--image=nginx:1.27.3")
	got := map[string][2]string{}
	for _, event := range k.audited() {
		if event.Verb == "create" && event.ObjectRef.Resource == "deployments" {
			if event.Annotations["roots.validate.plainspec.dev/revision"] == "" {
				t.Errorf("annotations of %q have no revision: %v", event.ObjectRef.Name, event.Annotations)
			}
			got[event.ObjectRef.Name] = [2]string{event.Annotations["roots.validate.plainspec.dev/deny"], event.Annotations["roots.validate.plainspec.dev/id"]}
		}
	}
	if got["untagged"][0] != "image.no_version" || got["untagged"][1] == "" {
		t.Errorf("annotations of the refused Deployment are %q, want the rule's code and an id", got["untagged"])
	}
	if got["tagged"] != [2]string{} {
		t.Errorf("annotations of the admitted Deployment are %q, want no code and no id", got["tagged"])
	}
}
