package audit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// resource is what RBAC calls Rejections.
const resource = "rejections." + auditv1alpha1.GroupName

const (
	// queriesPerSecond is how often the API server is asked at most, by the writer and by the retention each: ten records
	// a second, so that a flood of refusals is none of writes, and a full Recorder of 10,000 is empty after 17 minutes.
	queriesPerSecond = 20
	// burst lets the records of one large apply be there before somebody looks for them.
	burst = 100
	// requestTimeout bounds a request to an API server that does not answer.
	requestTimeout = 10 * time.Second
)

// RejectionsOptions are what a Rejections is made of. Zero means the default.
type RejectionsOptions struct {
	// Config says how to reach the API server. Its rate limits are replaced.
	Config *rest.Config
	// Namespace is the one in which objects are kept.
	Namespace string
	// PerNamespace is how many objects are kept of one tenant namespace. Default KeptPerNamespace of api/audit.
	PerNamespace int
	// Total is how many are kept of all. Default KeptInAll.
	Total int
	// MaxAge is how long an object is kept after its last try. Default KeptFor.
	MaxAge time.Duration
	// Registerer takes the metrics, Logger is told when what is to be deleted cannot be.
	Registerer prometheus.Registerer
	Logger     logr.Logger
}

// Rejections is the sink that keeps records as objects of kind Rejection in one namespace of the cluster. Several replicas
// add to the same objects. Run deletes what is not kept.
//
// A try is counted twice if the API server has counted it and its answer is lost on the way.
type Rejections struct {
	client    client.Client
	namespace string
	retention *retention
}

// NewRejections returns a Rejections. It does not ask the API server for anything.
func NewRejections(o RejectionsOptions) (*Rejections, error) {
	writing, err := newClient(o.Config, burst)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	deleting, err := newClient(o.Config, queriesPerSecond)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return newRejections(writing, deleting, &o)
}

func newRejections(writing, deleting client.Client, o *RejectionsOptions) (*Rejections, error) {
	retention, err := newRetention(deleting, o)
	if err != nil {
		return nil, err
	}
	return &Rejections{client: writing, namespace: o.Namespace, retention: retention}, nil
}

// newScheme knows the records alone.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, auditv1alpha1.AddToScheme(scheme)
}

// newClient returns a client without a cache that asks for nothing but Rejections, not even what the API server serves.
func newClient(config *rest.Config, burst int) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.RateLimiter = queriesPerSecond, burst, nil
	config.Timeout = requestTimeout
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(auditv1alpha1.GroupVersion.WithKind(auditv1alpha1.KindRejection), meta.RESTScopeNamespace)
	return client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
}

// Name implements Sink.
func (*Rejections) Name() string { return "rejections" }

// Write implements Sink.
func (r *Rejections) Write(ctx context.Context, record *auditv1alpha1.Rejection) error {
	created := false
	// What others did in between, another replica or the retention, is done again on what they left.
	err := retry.OnError(retry.DefaultBackoff, changedMeanwhile, func() (err error) {
		created, err = r.add(ctx, record)
		return err
	})
	if created {
		r.retention.note(record.Root.Namespace)
	}
	return r.explain(record.Name, err)
}

// changedMeanwhile tells errors of add that say that the object is another than the one that was read.
func changedMeanwhile(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) && aboutRecord(err)
}

// add creates the object of a record, or adds the record to it.
func (r *Rejections) add(ctx context.Context, record *auditv1alpha1.Rejection) (created bool, err error) {
	stored := &auditv1alpha1.Rejection{}
	err = r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: record.Name}, stored)
	if apierrors.IsNotFound(err) && aboutRecord(err) {
		stored = record.DeepCopy()
		stored.Namespace = r.namespace
		err = r.client.Create(ctx, stored)
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	stored.Count += record.Count
	if record.FirstTime.Before(&stored.FirstTime) {
		stored.FirstTime = record.FirstTime
	}
	if stored.LastTime.Before(&record.LastTime) {
		stored.LastTime = record.LastTime
	}
	return false, r.client.Update(ctx, stored)
}

// aboutRecord tells whether an answer "not found" means a record, and not its kind or the namespace.
func aboutRecord(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "rejections" &&
		!apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// explain adds to an error what is to be done about it.
func (r *Rejections) explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("write record %q: %w: %w", name, ErrRefused, err)
	default:
		return fmt.Errorf("write record %q: %w", name, advise(r.namespace, err))
	}
}

// advise adds to an answer of the API server what an operator has to do.
func advise(namespace string, err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("namespace %q is being deleted: %w", namespace, err)
	case status.Status().Code == http.StatusForbidden:
		return fmt.Errorf("grant get, list, create, update and delete on %s in namespace %q: %w", resource, namespace, err)
	case status.Status().Code == http.StatusNotFound && status.Status().Details != nil && status.Status().Details.Kind == "namespaces":
		return fmt.Errorf("create namespace %q: %w", namespace, err)
	case status.Status().Code == http.StatusNotFound:
		return fmt.Errorf("install the CustomResourceDefinition %s: %w", resource, err)
	}
	return err
}
