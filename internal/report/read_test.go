package report

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

func TestClientDoesNotWaitBetweenRequests(t *testing.T) {
	t.Parallel()
	const requests = 40 // of which client-go's own limit would let 10 through at once, and then 5 in a second
	api := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	reader, err := NewClient(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range requests {
		if err := reader.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "one"}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("%d requests took %s", requests, took)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	resource := auditv1alpha1.GroupVersion.WithResource("rejections").GroupResource()
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"the role is missing": {
			apierrors.NewForbidden(resource, "", errors.New("no")),
			"read rejections: rejections.audit.plainspec.dev is forbidden: no\n" +
				"ask whoever runs Plainspec to bind the chart's ClusterRole …-rejections-viewer, named after the release, to you in namespace plainspec-system",
		},
		"the definition is missing": {
			apierrors.NewNotFound(resource, ""),
			"read rejections: the CustomResourceDefinition rejections.audit.plainspec.dev is missing: " +
				"Plainspec's chart is not installed in this cluster (see --context), its crds.install is false, or it was deleted",
		},
		"the login is missing": {
			apierrors.NewUnauthorized("who are you"),
			"read rejections: the cluster does not accept your credentials (see --kubeconfig and --context): who are you",
		},
		"the list is forgotten": {
			apierrors.NewResourceExpired("too old"),
			"read rejections: they changed too long while they were read, try again: too old",
		},
		"something else": {errors.New("odd"), "read rejections: odd"},
	} {
		if got := (Source{Namespace: "plainspec-system"}).explain(tc.err); got.Error() != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestNothingNamesTheFlagsThatWereSet(t *testing.T) {
	t.Parallel()
	for want, filter := range map[string]Filter{
		`no rejections match (outcome denied, rule no.such): 78 others are recorded; see --rule, --outcome`:                       {Rules: []string{"no.such"}, Outcome: auditv1alpha1.OutcomeDenied},
		`no rejections match (namespace shop, user joe, since 2026-03-01 12:00 UTC): 78 others are recorded; see --user, --since`: {Namespace: "shop", User: "joe", Since: &now},
	} {
		if got := (Source{}).Nothing(filter, 78); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
