package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
)

// DefaultOwnerLabels are the labels that name the team to talk to, the first that is there.
func DefaultOwnerLabels() []string { return []string{"team", "owner", "app.kubernetes.io/part-of"} }

// addReadinessTypes adds the types, besides records, that are read as such.
func addReadinessTypes(scheme *apiruntime.Scheme) error {
	return errors.Join(corev1.AddToScheme(scheme), admissionregistrationv1.AddToScheme(scheme))
}

// mapReadinessKinds says where the kinds, besides records, are served.
func mapReadinessKinds(mapper *meta.DefaultRESTMapper) {
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"), meta.RESTScopeRoot)
	mapper.Add(definitionKind, meta.RESTScopeRoot)
	for _, kind := range kinds.All() {
		mapper.Add(schema.GroupVersionKind{Group: kind.Groups[0], Version: "v1", Kind: kind.Name}, meta.RESTScopeNamespace)
	}
}

// ReadinessOptions say what is looked at, and judged by what.
type ReadinessOptions struct {
	// Source is where the cluster is read, and where Plainspec lives in it, unless its webhook configuration says that it is
	// elsewhere. PageSize is that of workloads, too.
	Source Source
	// Named says that whoever asks named that namespace: it is an error if Plainspec is not there.
	Named bool
	// Namespace is the only namespace to look at, empty for all.
	Namespace string
	// Config and Policies are a configuration file and a folder of policies that stand in for those in the cluster.
	Config, Policies string
	// Exclude are namespaces to leave out besides those that the webhook configuration exempts.
	Exclude []string
	// OwnerLabels are the labels that name an owner, of the workload or else of its namespace: the first that is there.
	OwnerLabels []string
	// Since is how far back records are read, Now the time.
	Since, Now time.Time
	// Progress, if not nil, is told with each of them how many objects were read and how many requests were made for that, by
	// one goroutine at a time.
	Progress func(objects, requests int)
}

// assessment is one look at a cluster.
type assessment struct {
	ReadinessOptions

	judge     judge
	installed *installation // what the webhook configuration says, nil if there is none
	hidden    bool          // it may not be read
	oldest    metav1.Time   // when the oldest thing was made that Plainspec has, zero if none is known
	counted   bool          // all namespaces are known
	exempt    exemption
	tally     *tally
	report    *Readiness

	mu       sync.Mutex // guards tally, objects, requests and calls of Progress
	objects  int
	requests int
}

// AssessReadiness looks at all workloads of a cluster that somebody applied, and at the records of what was admitted and
// would be refused. What cannot be read for want of rights is part of the result; other errors of the cluster end it, as
// do a configuration and policies that do not load.
func AssessReadiness(ctx context.Context, o ReadinessOptions) (*Readiness, error) {
	a := &assessment{ReadinessOptions: o, report: &Readiness{
		APIVersion: APIVersion, Kind: KindReadiness, GeneratedAt: o.Now.UTC().Truncate(time.Second), Unread: []Unread{},
		Basis: ReadinessBasis{Namespace: o.Namespace, Controllers: []string{}, Notes: []string{}, home: o.Source.Namespace},
	}}
	a.Source.Client = &counting{Reader: o.Source.Client, made: a.requested}
	if err := a.findHome(ctx); err != nil {
		return nil, err
	}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	namespaces, err := a.readNamespaces(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.readExemption(namespaces); err != nil {
		return nil, err
	}
	a.tally = newTally(a, namespaces)
	if err := a.readRecords(ctx); err != nil {
		return nil, err
	}
	for _, kind := range kinds.All() {
		if err := a.scan(ctx, &kind, slices.Sorted(maps.Keys(namespaces))); err != nil {
			return nil, err
		}
	}
	a.tally.finish(a.report)
	a.report.Basis.Exempt = a.exempt.seen()
	return a.report, nil
}

// counting tells of each request.
type counting struct {
	client.Reader

	made func()
}

// List implements client.Reader.
func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	defer c.made()
	return c.Reader.List(ctx, list, options...)
}

// Get implements client.Reader.
func (c *counting) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	defer c.made()
	return c.Reader.Get(ctx, key, object, options...)
}

func (a *assessment) requested() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	a.progress()
}

func (a *assessment) progress() {
	if a.Progress != nil {
		a.Progress(a.objects, a.requests)
	}
}

// scan judges the workloads of a kind: all at once or, where that is forbidden, in each namespace by itself.
func (a *assessment) scan(ctx context.Context, kind *kinds.Kind, namespaces []string) error {
	resource := schema.GroupResource{Group: kind.Groups[0], Resource: kind.Resource}.String()
	before := a.objects
	err := a.judgeAll(ctx, kind, a.Namespace)
	if !hidden(err) || a.objects > before { // rights that end half way are no rights to report on
		return err
	}
	if a.Namespace != "" || len(namespaces) == 0 || !apierrors.IsForbidden(err) {
		var in []string
		if a.Namespace != "" {
			in = []string{a.Namespace}
		}
		a.unread(resource, in, err)
		a.tally.hide(kind.Name, in)
		return nil
	}
	var forbidden []string
	for _, namespace := range namespaces {
		if a.exempt.covers(namespace) {
			continue
		}
		err := a.judgeAll(ctx, kind, namespace)
		switch {
		case hidden(err):
			forbidden = append(forbidden, namespace)
		case err != nil:
			return err
		}
	}
	if len(forbidden) > 0 {
		a.unread(resource, forbidden, err)
		a.tally.hide(kind.Name, forbidden)
	}
	return nil
}

// hidden reports whether an error says that something may not be read, or is not served.
func hidden(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || meta.IsNoMatchError(err)
}

// judgeAll reads the objects of a kind in pages, and judges the roots among them by a few workers, who hold no more than
// the pages that are under way.
func (a *assessment) judgeAll(ctx context.Context, kind *kinds.Kind, namespace string) error {
	workers, within := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	err := a.pages(kind, namespace).EachListItem(within, metav1.ListOptions{}, func(item apiruntime.Object) error {
		object, ok := item.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("the server sent a %T", item)
		}
		workers.Go(func() error { return a.judgeOne(within, kind, object) })
		return nil
	})
	// A worker's error ends the reading: it is the reason, and what the reading says of that is not.
	if failed := workers.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return explain("list "+kind.Resource, err)
	}
	return nil
}

func (a *assessment) pages(kind *kinds.Kind, namespace string) *pager.ListPager {
	list := func(ctx context.Context, page metav1.ListOptions) (*unstructured.UnstructuredList, error) {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Groups[0], Version: "v1", Kind: kind.Name + "List"})
		err := a.Source.Client.List(ctx, objects, client.InNamespace(namespace), client.Limit(page.Limit), client.Continue(page.Continue))
		return objects, err
	}
	pages := pager.New(func(ctx context.Context, page metav1.ListOptions) (apiruntime.Object, error) {
		objects, err := list(ctx, page)
		// The cluster forgets after five minutes what it was when the list began. It offers to go on with what it is now.
		if status := apierrors.APIStatus(nil); apierrors.IsResourceExpired(err) && errors.As(err, &status) && status.Status().Continue != "" {
			page.Continue = status.Status().Continue
			return list(ctx, page)
		}
		return objects, err
	})
	pages.PageBufferSize = 1
	if a.Source.PageSize > 0 {
		pages.PageSize = a.Source.PageSize
	}
	return pages
}

// judgeOne judges an object, if somebody applied it.
func (a *assessment) judgeOne(ctx context.Context, kind *kinds.Kind, object *unstructured.Unstructured) error {
	root := rootOf(kind, object)
	var findings []auditv1alpha1.Finding
	var err error
	a.mu.Lock()
	skipped := isMirror(object) || a.exempt.covers(root.Namespace)
	looked := !skipped && (isRoot(object) || a.tally.applied(&root))
	a.mu.Unlock()
	if looked {
		if findings, err = a.judge.findings(ctx, kind, object); ctx.Err() != nil {
			return ctx.Err()
		}
		if !isRoot(object) {
			findings = a.tally.changed(&root, findings)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case looked:
		a.tally.look(root, object, findings, err)
	case !skipped:
		a.tally.pass(&root, object)
	}
	a.objects++
	a.progress()
	return nil
}

func (a *assessment) note(text string) {
	a.report.Basis.Notes = append(a.report.Basis.Notes, visible(text))
}

func (a *assessment) unread(resource string, namespaces []string, err error) {
	unread := Unread{Resource: resource, Namespaces: namespaces, Reason: reason(err)}
	a.report.Basis.refused = a.report.Basis.refused || apierrors.IsForbidden(err)
	if !slices.ContainsFunc(a.report.Unread, func(u Unread) bool { return reflect.DeepEqual(u, unread) }) {
		a.report.Unread = append(a.report.Unread, unread)
	}
}
