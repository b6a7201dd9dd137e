package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

const (
	// pruneInterval is the least time between two looks at the objects of one namespace.
	pruneInterval = time.Minute
	// sweepInterval is about the time between two looks at all objects. Every replica looks, each at a time of its own.
	sweepInterval = time.Hour
	// pageSize is how many objects are read at once, some 300 KiB: what is kept of them is a few words.
	pageSize = 100
)

// retention deletes the objects that are not kept.
type retention struct {
	client              client.Client
	namespace           string
	perNamespace, total int
	maxAge              time.Duration
	log                 logr.Logger
	errors              prometheus.Counter
	failing             bool

	mu sync.Mutex
	// grown are the tenant namespaces that have got objects since the last look at them.
	grown map[string]bool
}

func newRetention(c client.Client, o *RejectionsOptions) (*retention, error) {
	r := &retention{
		client: c, namespace: o.Namespace, perNamespace: o.PerNamespace, total: o.Total, maxAge: o.MaxAge,
		log: o.Logger, grown: map[string]bool{},
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plainspec_rejections_delete_errors_total", Help: "Looks for Rejections to delete that failed.",
		}),
	}
	if r.perNamespace == 0 {
		r.perNamespace = auditv1alpha1.KeptPerNamespace
	}
	if r.total == 0 {
		r.total = auditv1alpha1.KeptInAll
	}
	if r.maxAge == 0 {
		r.maxAge = auditv1alpha1.KeptFor
	}
	if err := o.Registerer.Register(r.errors); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return r, nil
}

// Run deletes what is not kept, until ctx ends: of a tenant namespace with new objects within a minute, of all others
// within the hour. It returns no error.
func (r *Rejections) Run(ctx context.Context) error {
	r.retention.run(ctx)
	return nil
}

func (r *retention) run(ctx context.Context) {
	// The first sweep comes soon, since a server that is new does not know what its predecessor left, but not at once: a
	// server that cannot run is started again and again.
	sweep := time.Now().Add(wait.Jitter(pruneInterval, 5))
	for {
		sleep(ctx, pruneInterval)
		if ctx.Err() != nil {
			return
		}
		err := r.prune(ctx, time.Now())
		if err == nil && time.Now().After(sweep) {
			if err = r.sweep(ctx, time.Now()); err == nil {
				sweep = time.Now().Add(wait.Jitter(sweepInterval, 0.2))
			}
		}
		if ctx.Err() == nil {
			r.report(err)
		}
	}
}

// report logs when deletion begins to fail, and when it has recovered.
func (r *retention) report(err error) {
	switch {
	case err != nil:
		r.errors.Inc()
		if !r.failing {
			r.log.Error(err, "rejections that are not kept cannot be deleted")
		}
	case r.failing:
		r.log.Info("rejections that are not kept are deleted again")
	}
	r.failing = err != nil
}

// note remembers that a tenant namespace has got a new object.
func (r *retention) note(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grown[namespace] = true
}

// prune deletes what is not kept of the tenant namespaces that have grown. Those that it does not get to are left for the
// next time.
func (r *retention) prune(ctx context.Context, now time.Time) error {
	r.mu.Lock()
	grown := slices.Sorted(maps.Keys(r.grown))
	r.mu.Unlock()
	for _, namespace := range grown {
		// Before the look, so that what comes during it is noted again.
		r.mu.Lock()
		delete(r.grown, namespace)
		r.mu.Unlock()
		if err := r.look(ctx, now, client.MatchingLabels{auditv1alpha1.NamespaceLabel: namespace}); err != nil {
			r.note(namespace)
			return err
		}
	}
	return nil
}

// sweep deletes what is not kept of any tenant namespace.
func (r *retention) sweep(ctx context.Context, now time.Time) error { return r.look(ctx, now) }

// look reads objects and deletes those that are not kept.
func (r *retention) look(ctx context.Context, now time.Time, of ...client.ListOption) error {
	found := map[string][]stored{}
	list := &auditv1alpha1.RejectionList{}
	for {
		options := append([]client.ListOption{client.InNamespace(r.namespace), client.Limit(pageSize), client.Continue(list.Continue)}, of...)
		list = &auditv1alpha1.RejectionList{}
		if err := r.client.List(ctx, list, options...); err != nil {
			return fmt.Errorf("list records: %w", advise(r.namespace, err))
		}
		for i := range list.Items {
			o := &list.Items[i]
			tenant := o.Labels[auditv1alpha1.NamespaceLabel]
			found[tenant] = append(found[tenant], stored{o.Name, o.UID, o.ResourceVersion, o.LastTime.Time})
		}
		if list.Continue == "" {
			break
		}
	}
	for _, o := range r.expired(found, now) {
		if err := r.delete(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// stored is what is read of an object.
type stored struct {
	name    string
	uid     types.UID
	version string
	last    time.Time
}

// expired returns the objects that are not kept, of those found by tenant namespace: those that are too old, and of each
// namespace the oldest beyond as many as all may have.
func (r *retention) expired(found map[string][]stored, now time.Time) (expired []stored) {
	for tenant, objects := range found {
		slices.SortFunc(objects, func(a, b stored) int { return b.last.Compare(a.last) })
		old := slices.IndexFunc(objects, func(o stored) bool { return now.Sub(o.last) > r.maxAge })
		if old >= 0 {
			expired = append(expired, objects[old:]...)
			found[tenant] = objects[:old]
		}
	}
	share := r.share(found)
	for _, objects := range found {
		expired = append(expired, objects[min(share, len(objects)):]...)
	}
	return expired
}

// share is how many objects a namespace may have so that all together stay within the bound. Those who have few keep them.
func (r *retention) share(found map[string][]stored) int {
	for share := r.perNamespace; share > 1; share-- {
		kept := 0
		for _, objects := range found {
			kept += min(share, len(objects))
		}
		if kept <= r.total {
			return share
		}
	}
	return 1
}

// delete deletes an object as it was read: not one that has been tried again since, nor one that is gone already.
func (r *retention) delete(ctx context.Context, o stored) error {
	object := &auditv1alpha1.Rejection{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: o.name}}
	err := r.client.Delete(ctx, object, client.Preconditions{UID: &o.uid, ResourceVersion: &o.version})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete record %q: %w", o.name, advise(r.namespace, err))
	}
	return nil
}
