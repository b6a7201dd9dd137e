package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

const keptIn = "plainspec-system"

// store is a Rejections over an API server in memory.
func store(t *testing.T, o RejectionsOptions, funcs interceptor.Funcs) (*Rejections, client.Client) {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	api := fakeclient.NewClientBuilder().WithScheme(scheme).Build()
	asked := interceptor.NewClient(api, funcs)
	o.Namespace, o.Registerer = keptIn, prometheus.NewRegistry()
	r, err := newRejections(asked, asked, &o)
	if err != nil {
		t.Fatal(err)
	}
	return r, api
}

// kept are the counts of all objects by name.
func kept(t *testing.T, api client.Client) map[string]int64 {
	t.Helper()
	var list auditv1alpha1.RejectionList
	if err := api.List(t.Context(), &list, client.InNamespace(keptIn)); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for i := range list.Items {
		counts[list.Items[i].Name] = list.Items[i].Count
	}
	return counts
}

func TestRecordsOfOneNameAreAdded(t *testing.T) {
	t.Parallel()
	r, api := store(t, RejectionsOptions{}, interceptor.Funcs{})
	early, middle, late := record("a", 2), record("a", 3), record("a", 4)
	early.FirstTime = metav1.NewTime(early.FirstTime.Add(-time.Hour))
	late.LastTime = metav1.NewTime(late.LastTime.Add(time.Hour))
	for _, record := range []*auditv1alpha1.Rejection{middle, late, early} {
		if err := r.Write(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	want := *record("a", 9)
	want.Namespace, want.FirstTime, want.LastTime = keptIn, early.FirstTime, late.LastTime
	var got auditv1alpha1.Rejection
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: keptIn, Name: "a"}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ResourceVersion"), cmpopts.IgnoreTypes(metav1.TypeMeta{})); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	if middle.Namespace != "" || middle.ResourceVersion != "" {
		t.Error("the record of others was changed")
	}
}

// TestWhatOthersDoMeanwhile lets another replica, or the retention, be faster between two requests.
func TestWhatOthersDoMeanwhile(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stored    bool
		meanwhile func(ctx context.Context, api client.Client) error
		want      int64
	}{
		"another creates it": {
			meanwhile: func(ctx context.Context, api client.Client) error {
				other := record("a", 5)
				other.Namespace = keptIn
				return api.Create(ctx, other)
			},
			want: 6,
		},
		"another adds to it": {
			stored: true,
			meanwhile: func(ctx context.Context, api client.Client) error {
				var other auditv1alpha1.Rejection
				if err := api.Get(ctx, client.ObjectKey{Namespace: keptIn, Name: "a"}, &other); err != nil {
					return err
				}
				other.Count += 5
				return api.Update(ctx, &other)
			},
			want: 16,
		},
		"it is deleted": {
			stored: true,
			meanwhile: func(ctx context.Context, api client.Client) error {
				return api.DeleteAllOf(ctx, &auditv1alpha1.Rejection{}, client.InNamespace(keptIn))
			},
			want: 1,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var api client.Client
			var once sync.Once
			r, api := store(t, RejectionsOptions{}, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) (err error) {
					err = c.Get(ctx, key, o, options...)
					once.Do(func() { err = errors.Join(err, tc.meanwhile(ctx, c)) })
					if joined, ok := err.(interface{ Unwrap() []error }); ok {
						err = joined.Unwrap()[0]
					}
					return err
				},
			})
			if tc.stored {
				existing := record("a", 10)
				existing.Namespace = keptIn
				if err := api.Create(t.Context(), existing); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Write(t.Context(), record("a", 1)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]int64{"a": tc.want}, kept(t, api)); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	group := schema.GroupResource{Group: auditv1alpha1.GroupName, Resource: "rejections"}
	terminating := apierrors.NewForbidden(group, "a", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	tests := map[string]struct {
		err         error
		want        string
		wantRefused bool
	}{
		"the kind is missing": {
			err:  apierrors.NewGenericServerResponse(http.StatusNotFound, "get", group, "a", "404 page not found", 0, true),
			want: `write record "a": install the CustomResourceDefinition rejections.audit.plainspec.dev: the server could not find the requested resource (get rejections.audit.plainspec.dev a)`,
		},
		"the namespace is missing": {
			err:  apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, keptIn),
			want: `write record "a": create namespace "plainspec-system": namespaces "plainspec-system" not found`,
		},
		"the namespace goes": {
			err:  terminating,
			want: `write record "a": namespace "plainspec-system" is being deleted: rejections.audit.plainspec.dev "a" is forbidden: it is being terminated`,
		},
		"it is not allowed": {
			err:  apierrors.NewForbidden(group, "a", errors.New("no")),
			want: `write record "a": grant get, list, create, update and delete on rejections.audit.plainspec.dev in namespace "plainspec-system": rejections.audit.plainspec.dev "a" is forbidden: no`,
		},
		"nobody answers": {
			err:  errors.New("connection refused"),
			want: `write record "a": connection refused`,
		},
		"the server is in trouble": {
			err:  apierrors.NewInternalError(errors.New("etcd")),
			want: `write record "a": Internal error occurred: etcd`,
		},
		"the record will never do": {
			err:         apierrors.NewInvalid(schema.GroupKind{Group: auditv1alpha1.GroupName, Kind: "Rejection"}, "a", nil),
			want:        `write record "a": the record is refused: Rejection.audit.plainspec.dev "a" is invalid`,
			wantRefused: true,
		},
		"the record is too large": {
			err:         apierrors.NewRequestEntityTooLargeError("limit is 3145728"),
			want:        `write record "a": the record is refused: Request entity too large: limit is 3145728`,
			wantRefused: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := store(t, RejectionsOptions{}, interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return tc.err },
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
					if apierrors.HasStatusCause(tc.err, metav1.CauseTypeUnexpectedServerResponse) {
						return tc.err
					}
					return c.Get(ctx, key, o, options...)
				},
			})
			err := r.Write(t.Context(), record("a", 1))
			if err == nil || err.Error() != tc.want {
				t.Errorf("Write() error = %v\nwant %s", err, tc.want)
			}
			if got := errors.Is(err, ErrRefused); got != tc.wantRefused {
				t.Errorf("the error is final: %t, want %t", got, tc.wantRefused)
			}
		})
	}
}

func TestNothingIsAskedBeforeTheFirstRecord(t *testing.T) {
	t.Parallel()
	var asked []string
	var mu sync.Mutex
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		http.Error(w, "404 page not found", http.StatusNotFound)
	}))
	t.Cleanup(api.Close)
	r, err := NewRejections(RejectionsOptions{Config: &rest.Config{Host: api.URL}, Namespace: keptIn, Registerer: prometheus.NewRegistry(), Logger: logr.Discard()})
	if err != nil || len(asked) > 0 {
		t.Fatalf("NewRejections() error = %v, asked for %q", err, asked)
	}
	err = r.Write(t.Context(), record("a", 1))
	if err == nil || !strings.Contains(err.Error(), "install the CustomResourceDefinition") {
		t.Errorf("Write() error = %v", err)
	}
	want := []string{"GET /apis/audit.plainspec.dev/v1alpha1/namespaces/plainspec-system/rejections/a"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// old is a record of a namespace that was last tried some time ago.
func old(namespace, name string, age time.Duration) *auditv1alpha1.Rejection {
	r := record(name, 1)
	r.Labels[auditv1alpha1.NamespaceLabel], r.Root.Namespace = namespace, namespace
	r.FirstTime, r.LastTime = metav1.NewTime(time.Now().Add(-age)), metav1.NewTime(time.Now().Add(-age))
	return r
}

func TestWhatIsNotKeptIsDeleted(t *testing.T) {
	t.Parallel()
	type objects struct {
		namespace string
		records   int
		youngest  time.Duration // the others are an hour older each
	}
	const day = 24 * time.Hour
	tests := map[string]struct {
		options RejectionsOptions
		stored  []objects // by others
		written []objects // by this server
		after   time.Duration
		want    map[string]int
	}{
		"a hundred of a namespace stay, within a minute": {
			stored:  []objects{{"shop", 150, 0}},
			written: []objects{{"flood", 120, 0}, {"bank", 100, 0}},
			after:   time.Minute,
			want:    map[string]int{"flood": 100, "bank": 100, "shop": 150},
		},
		"of others within the hour": {
			stored: []objects{{"shop", 150, 0}, {"bank", 5, 0}},
			after:  10 * time.Minute,
			want:   map[string]int{"shop": 100, "bank": 5},
		},
		"none stays for more than thirty days": {
			stored: []objects{{"shop", 72, 28 * day}, {"bank", 3, 31 * day}},
			after:  10 * time.Minute,
			want:   map[string]int{"shop": 48},
		},
		"and again an hour later": {
			stored: []objects{{"shop", 72, 28 * day}},
			after:  4 * time.Hour,
			want:   map[string]int{"shop": 45},
		},
		"the bounds are options": {
			options: RejectionsOptions{PerNamespace: 10, MaxAge: 12 * time.Hour},
			stored:  []objects{{"shop", 20, 0}, {"bank", 8, 6 * time.Hour}},
			after:   10 * time.Minute,
			want:    map[string]int{"shop": 10, "bank": 6},
		},
		"when there are too many of all, those who have most give": {
			options: RejectionsOptions{Total: 60},
			stored:  []objects{{"flood", 90, 0}, {"shop", 40, 0}, {"bank", 5, 0}},
			after:   10 * time.Minute,
			want:    map[string]int{"flood": 27, "shop": 27, "bank": 5},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, api := store(t, tc.options, interceptor.Funcs{})
				each := func(all []objects, do func(*auditv1alpha1.Rejection) error) {
					for _, o := range all {
						for i := range o.records {
							if err := do(old(o.namespace, fmt.Sprintf("%s-%03d", o.namespace, i), o.youngest+time.Duration(i)*time.Hour)); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				each(tc.stored, func(r *auditv1alpha1.Rejection) error {
					r.Namespace = keptIn
					return api.Create(t.Context(), r)
				})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				defer func() {
					cancel()
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}()
				startRun(ctx, r, ended)
				each(tc.written, func(record *auditv1alpha1.Rejection) error { return r.Write(t.Context(), record) })
				time.Sleep(tc.after + time.Second)
				synctest.Wait()
				got := map[string]int{}
				for name := range kept(t, api) {
					namespace, _, _ := strings.Cut(name, "-")
					got[namespace]++
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("objects (-want +got):\n%s", diff)
				}
				// The oldest go: names rise with age.
				names := slices.Sorted(maps.Keys(kept(t, api)))
				for namespace, count := range tc.want {
					last := fmt.Sprintf("%s-%03d", namespace, count-1)
					if !slices.Contains(names, last) || slices.Contains(names, fmt.Sprintf("%s-%03d", namespace, count)) {
						t.Errorf("of %s not the oldest were deleted: %q", namespace, names)
					}
				}
			})
		})
	}
}

// startRun runs the retention until ctx ends.
func startRun(ctx context.Context, r *Rejections, ended chan<- error) {
	var group errgroup.Group
	group.Go(func() error {
		err := r.Run(ctx)
		ended <- err
		return err
	})
}

func TestDeletionGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var lists int
		fails := true
		r, api := store(t, RejectionsOptions{PerNamespace: 1, Logger: logr.Discard()}, interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
				mu.Lock()
				defer mu.Unlock()
				if lists++; fails {
					return errors.New("busy")
				}
				return c.List(ctx, list, options...)
			},
			// Another replica is faster with one, and one is tried again after it was read.
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
				var asked client.DeleteOptions
				if asked.ApplyOptions(options); asked.Preconditions == nil || asked.Preconditions.UID == nil || asked.Preconditions.ResourceVersion == nil {
					t.Errorf("%s is deleted whatever has become of it: %+v", o.GetName(), asked)
				}
				switch o.GetName() {
				case "gone":
					return apierrors.NewNotFound(schema.GroupResource{Resource: "rejections"}, "gone")
				case "tried":
					return apierrors.NewConflict(schema.GroupResource{Resource: "rejections"}, "tried", errors.New("changed"))
				}
				return c.Delete(ctx, o, options...)
			},
		})
		for i, name := range []string{"kept", "gone", "tried", "oldest"} {
			if err := r.Write(t.Context(), old("shop", name, time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		startRun(ctx, r, ended)
		time.Sleep(10*time.Minute + time.Second)
		mu.Lock()
		if lists != 10 {
			t.Errorf("%d looks within ten minutes, want one a minute", lists)
		}
		fails = false
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int64{"kept": 1, "gone": 1, "tried": 1}, kept(t, api)); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
