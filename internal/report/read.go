package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/redact"
)

// definitionName names the CustomResourceDefinition of records.
const definitionName = "rejections." + auditv1alpha1.GroupName

// errNoDefinition says that no records can exist.
var errNoDefinition = errors.New("the CustomResourceDefinition " + definitionName +
	" is missing: Plainspec's chart is not installed in this cluster (see --context), its crds.install is false, or it was deleted")

// Source is where records are read.
type Source struct {
	// Client reads with the rights of whoever asks.
	Client client.Reader
	// Namespace is Plainspec's own, which holds the records.
	Namespace string
	// PageSize is how many records are asked for at once; 500 if zero, which is kubectl's.
	PageSize int64
}

// NewClient returns a client for what reports read. It makes no request. Requests are made one after the other and as fast
// as the API server answers, whose priority and fairness protects it: client-go's own five in a second would take minutes
// where each namespace is asked about by itself.
func NewClient(config *rest.Config) (client.Reader, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := auditv1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the kind: %w", err)
	}
	if err := addReadinessTypes(scheme); err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	// What is read is known, and its paths are: no discovery.
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(auditv1alpha1.GroupVersion.WithKind(auditv1alpha1.KindRejection), meta.RESTScopeNamespace)
	mapReadinessKinds(mapper)
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return c, nil
}

// Read returns all records of a tenant namespace, or of all if it is empty, the latest first. Nothing in them can command a
// terminal.
func (s Source) Read(ctx context.Context, namespace string) ([]auditv1alpha1.Rejection, error) {
	options := []client.ListOption{client.InNamespace(s.Namespace)}
	if namespace != "" {
		options = append(options, client.MatchingLabels{auditv1alpha1.NamespaceLabel: namespace})
	}
	var records []auditv1alpha1.Rejection
	pages := pager.New(func(ctx context.Context, page metav1.ListOptions) (runtime.Object, error) {
		var list auditv1alpha1.RejectionList
		err := s.Client.List(ctx, &list, append(slices.Clone(options), client.Limit(page.Limit), client.Continue(page.Continue))...)
		return &list, err
	})
	if s.PageSize > 0 {
		pages.PageSize = s.PageSize
	}
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		record, ok := o.(*auditv1alpha1.Rejection)
		if !ok {
			return fmt.Errorf("the server sent a %T", o)
		}
		if namespace == "" || record.Root.Namespace == namespace {
			clean(reflect.ValueOf(record).Elem())
			records = append(records, *record)
		}
		return nil
	})
	if err != nil {
		return nil, s.explain(err)
	}
	slices.SortFunc(records, func(a, b auditv1alpha1.Rejection) int {
		return cmp.Or(b.LastTime.Compare(a.LastTime.Time), strings.Compare(a.Name, b.Name))
	})
	return records, nil
}

// Nothing says that a filter takes none of all records, and why that may be.
func (s Source) Nothing(f Filter, all int) string {
	asked := ""
	if terms := f.Terms(); len(terms) > 0 {
		asked = " (" + strings.Join(terms, ", ") + ")"
	}
	switch {
	case all == 0 && f.Namespace == "":
		return fmt.Sprintf("no rejections match%s: none is recorded in namespace %q, where one is seconds after its refusal; is Plainspec installed there? see --plainspec-namespace", asked, s.Namespace)
	case all == 0:
		return fmt.Sprintf("no rejections match%s: none is recorded of namespace %q", asked, visible(f.Namespace))
	}
	others := fmt.Sprintf("%d others are", all)
	if all == 1 {
		others = "1 other is"
	}
	return fmt.Sprintf("no rejections match%s: %s recorded; see %s", asked, others, strings.Join(f.flags(), ", "))
}

// flags are those of what a filter asks for, besides the namespace.
func (f *Filter) flags() []string {
	var flags []string
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--rule", len(f.Rules) > 0}, {"--user", f.User != ""}, {"--since", f.Since != nil}, {"--outcome", f.Outcome != ""}} {
		if flag.set {
			flags = append(flags, flag.name)
		}
	}
	return flags
}

// Get returns the record with an id, or the only one whose id begins so.
func (s Source) Get(ctx context.Context, id string) (*auditv1alpha1.Rejection, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	if len(content.IsPathSegmentName(id)) > 0 {
		return s.find(ctx, id)
	}
	var record auditv1alpha1.Rejection
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: id}, &record)
	switch {
	case apierrors.IsNotFound(err):
		return s.find(ctx, id)
	case err != nil:
		return nil, s.explain(err)
	}
	clean(reflect.ValueOf(&record).Elem())
	return &record, nil
}

// find looks for an id by its beginning.
func (s Source) find(ctx context.Context, id string) (*auditv1alpha1.Rejection, error) {
	records, err := s.Read(ctx, "")
	if err != nil {
		return nil, err
	}
	all := len(records)
	records = slices.DeleteFunc(records, func(r auditv1alpha1.Rejection) bool { return !strings.HasPrefix(r.Name, id) })
	switch {
	case len(records) == 1:
		return &records[0], nil
	case len(records) > 1:
		var ids []string
		for i := range records[:min(len(records), 5)] {
			ids = append(ids, records[i].Name)
		}
		return nil, fmt.Errorf("%d rejections begin with %q, such as %s: name one of them", len(records), id, strings.Join(ids, ", "))
	case all == 0:
		return nil, fmt.Errorf("no rejection %q: none is recorded in namespace %q (is Plainspec installed there? see --plainspec-namespace)", id, s.Namespace)
	}
	return nil, fmt.Errorf("no rejection %q among %d in namespace %q: it is recorded seconds after the refusal, a dry run never, and the oldest of a full namespace make room for new ones",
		id, all, s.Namespace)
}

// explain says what to do about an answer of the cluster to a request for records.
func (s Source) explain(err error) error {
	const doing = "read rejections"
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w\nask whoever runs Plainspec to bind the chart's ClusterRole …-rejections-viewer, named after the release, to you in namespace %s",
			doing, err, s.Namespace)
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return fmt.Errorf("%s: %w", doing, errNoDefinition)
	case apierrors.IsResourceExpired(err):
		return fmt.Errorf("%s: they changed too long while they were read, try again: %w", doing, err)
	}
	return explain(doing, err)
}

// explain says what to do about an answer of the cluster to any request.
func explain(doing string, err error) error {
	var unreachable *url.Error
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: the cluster does not accept your credentials (see --kubeconfig and --context): %w", doing, err)
	case errors.As(err, &unreachable):
		return fmt.Errorf("reach the cluster (see --kubeconfig and --context): %w", err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// visible makes text fit for terminals and pages.
func visible(s string) string { return redact.Visible(strings.ToValidUTF8(s, "\uFFFD")) }

// clean makes each text of a value visible. What Plainspec wrote is so; but a record is an object that others with rights
// to Plainspec's namespace may have written.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(visible(v.String()))
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			clean(field)
		}
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String || v.Type().Elem().Kind() != reflect.String {
			return
		}
		for _, key := range v.MapKeys() {
			text := v.MapIndex(key).String()
			v.SetMapIndex(key, reflect.Value{})
			v.SetMapIndex(reflect.ValueOf(visible(key.String())).Convert(v.Type().Key()), reflect.ValueOf(visible(text)).Convert(v.Type().Elem()))
		}
	default:
	}
}
