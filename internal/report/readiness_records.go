package report

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

const (
	// recordsFlag is the server's flag that names where records are kept: without it, or if it names nothing, none are.
	recordsFlag = "--rejections-namespace="
	// server is the chart's component label of the Deployment.
	server = "webhook"
)

var definitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// readRecords reads the records of what was admitted and would be refused.
func (a *assessment) readRecords(ctx context.Context) error {
	if err := a.readServer(ctx); err != nil {
		return err
	}
	// All are read, since all together fill a namespace, and tell how far back records go.
	records, err := a.Source.Read(ctx, a.Namespace)
	switch {
	case errors.Is(err, errNoDefinition):
		why := errNoDefinition.Error()
		if a.report.Basis.release != "" {
			why = "the CustomResourceDefinition " + definitionName + " is missing: crds.install is false in the chart's values, or it was deleted"
		}
		a.note("no records: " + why)
		return nil
	case apierrors.IsForbidden(err):
		a.unread(definitionName, []string{a.Source.Namespace}, err)
		return nil
	case err != nil:
		return err
	}
	if full := (&Rejections{Gaps: gaps(records, &a.Since)}).Note(); full != "" {
		a.note(full)
	}
	count, observed := &ReadinessRecorded{}, Filter{Since: &a.Since, Outcome: auditv1alpha1.OutcomeObserved}
	for i := range records {
		r := &records[i]
		a.oldest = earlier(a.oldest, r.FirstTime)
		if !observed.matches(r) || a.exempt.covers(r.Root.Namespace) {
			continue
		}
		a.tally.record(r)
		count.Requests += r.Count
		if r.PolicyRevision != a.report.Basis.PolicyRevision {
			count.OtherPolicies++
		}
	}
	count.Workloads = len(a.tally.recorded)
	a.report.Summary.Recorded = count
	return a.readBegin(ctx, count)
}

// readBegin sets since when there can be records: not before their CustomResourceDefinition was made or, if that may not be
// read, the oldest thing that is known.
func (a *assessment) readBegin(ctx context.Context, count *ReadinessRecorded) error {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(definitionKind)
	err := a.Source.Client.Get(ctx, client.ObjectKey{Name: definitionName}, definition)
	begin, why := definition.CreationTimestamp, "when their CustomResourceDefinition was made"
	switch {
	case hidden(err):
		begin, why = a.oldest, "the oldest trace of Plainspec"
	case err != nil:
		return explain("read customresourcedefinitions", err)
	}
	since := a.Since
	if begin.After(since) {
		since, a.report.Basis.begin = begin.Time, why
	}
	count.Since = since.UTC().Truncate(time.Second)
	return nil
}

// readServer reads, if it may, whether the server keeps records.
func (a *assessment) readServer(ctx context.Context) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("DeploymentList"))
	err := a.Source.Client.List(ctx, list, client.InNamespace(a.Source.Namespace), client.MatchingLabels{nameLabel: nameOfApp, componentLabel: server})
	switch {
	case hidden(err):
		return nil
	case err != nil:
		return explain("list deployments", err)
	}
	keeps := func(argument string) bool { return strings.HasPrefix(argument, recordsFlag) && argument != recordsFlag }
	on := len(list.Items) == 0 // or that is not known
	for i := range list.Items {
		a.oldest = earlier(a.oldest, list.Items[i].GetCreationTimestamp())
		var deployment appsv1.Deployment
		if apiruntime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &deployment) != nil {
			on = true // it is not as the API server has it
		}
		for _, container := range deployment.Spec.Template.Spec.Containers {
			on = on || slices.ContainsFunc(container.Args, keeps)
		}
	}
	if !on {
		a.note("recording is off (rejections.enabled in the chart's values): what is applied now leaves no record")
	}
	return nil
}

// earlier is the earlier of two times, of which a zero one is not known.
func earlier(a, b metav1.Time) metav1.Time {
	if b.IsZero() || !a.IsZero() && a.Before(&b) {
		return a
	}
	return b
}
