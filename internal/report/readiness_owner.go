package report

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/internal/redact"
)

// ownerOf is the team to talk to: the first of the labels that a workload has, else that its namespace has.
func ownerOf(labels []string, workload, namespace map[string]string) string {
	for _, on := range []map[string]string{workload, namespace} {
		for _, label := range labels {
			if value := on[label]; value != "" {
				return redact.Text(value)
			}
		}
	}
	return NoOwner
}

// The labels and annotations by which tools know what they apply. A HelmRelease of Flux is a Helm release, too, and what
// Argo CD applies may carry the labels of a chart: who is asked first is who applies.
const (
	argoTracking = "argocd.argoproj.io/tracking-id" // "application:group/kind:namespace/name"
	argoInstance = "argocd.argoproj.io/instance"
	fluxSync     = "kustomize.toolkit.fluxcd.io/"
	fluxHelm     = "helm.toolkit.fluxcd.io/"
	helmRelease  = "meta.helm.sh/release-"
)

// appliedBy says which tool applies an object, or what controls it; empty if neither is known.
func appliedBy(object metav1.Object) string {
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	application, _, _ := strings.Cut(annotations[argoTracking], ":")
	if application == "" {
		application = labels[argoInstance]
	}
	for _, tool := range []struct{ what, namespace, name string }{
		{"Argo CD application", "", application},
		{"Flux kustomization", labels[fluxSync+"namespace"], labels[fluxSync+"name"]},
		{"Flux Helm release", labels[fluxHelm+"namespace"], labels[fluxHelm+"name"]},
		{"Helm release", annotations[helmRelease+"namespace"], annotations[helmRelease+"name"]},
	} {
		switch {
		case tool.name == "":
		case tool.namespace == "" || tool.namespace == object.GetNamespace():
			return redact.Text(tool.what + " " + tool.name)
		default:
			return redact.Text(tool.what + " " + tool.namespace + "/" + tool.name)
		}
	}
	if controller := metav1.GetControllerOf(object); controller != nil {
		return redact.Text(controller.Kind + " " + controller.Name)
	}
	return ""
}
