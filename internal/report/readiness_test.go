package report_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/report"
)

// readinessNow is the time of every assessment in tests.
var readinessNow = time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)

// revision stands for that of the built-in policies, which changes with each of them.
var revision = regexp.MustCompile(`\b[0-9a-f]{12}\b`)

// TestReadinessGolden runs each story of testdata/readiness: its first line says what it proves, then "cluster" are the
// objects of the cluster, "forbidden" has a resource, or a resource and a namespace, a line that may not be listed, "absent"
// a resource a line that is not served, "options" are the options, and want.FORMAT is what must come out; UPDATE_GOLDEN=1 writes it.
func TestReadinessGolden(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/readiness/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(archive.Comment)) == "" {
				t.Fatal("the first line does not say what the story proves")
			}
			runReadinessStory(t, path, archive)
		})
	}
}

func runReadinessStory(t *testing.T, path string, archive *txtar.Archive) {
	t.Helper()
	sections := make(map[string][]byte)
	for _, file := range archive.Files {
		sections[file.Name] = file.Data
	}
	answer, err := assess(t, sections["cluster"], strings.Fields(string(sections["forbidden"])), strings.Fields(string(sections["absent"])), sections["options"])
	if err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for i := range archive.Files {
		file := &archive.Files[i]
		format, want := strings.CutPrefix(file.Name, "want.")
		if !want {
			continue
		}
		wanted++
		got := written(t, answer, report.Format(format))
		if os.Getenv("UPDATE_GOLDEN") != "" {
			file.Data = []byte(got)
		} else if diff := cmp.Diff(string(file.Data), got); diff != "" {
			t.Errorf("%s (-want +got; UPDATE_GOLDEN=1 rewrites it):\n%s", file.Name, diff)
		}
	}
	if wanted == 0 {
		t.Fatal("nothing is wanted")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// written is the report in a format, with lines that end as the stories' do.
func written(t *testing.T, answer *report.Readiness, format report.Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := answer.Write(&b, format); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(revision.ReplaceAllString(b.String(), "REVISION"), "\r\n", "\n")
}

// assess assesses a cluster of these objects, of which some resources ("jobs.batch") may not be listed, or not in a
// namespace ("jobs.batch/shop"), and some are not served.
func assess(t *testing.T, cluster []byte, forbidden, absent []string, options []byte) (*report.Readiness, error) {
	t.Helper()
	o := report.ReadinessOptions{OwnerLabels: report.DefaultOwnerLabels(), Since: readinessNow.AddDate(0, 0, -7), Now: readinessNow}
	if err := yaml.UnmarshalStrict(options, &o); err != nil {
		t.Fatal(err)
	}
	o.Source = report.Source{Client: fakeCluster(t, cluster, forbidden, absent), Namespace: "plainspec-system"}
	return report.AssessReadiness(t.Context(), o)
}

func fakeCluster(tb testing.TB, cluster []byte, forbidden, absent []string) client.Client {
	tb.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), admissionregistrationv1.AddToScheme(scheme), auditv1alpha1.AddToScheme(scheme)); err != nil {
		tb.Fatal(err)
	}
	var objects []client.Object
	for document := range strings.SplitSeq(string(cluster), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			tb.Fatalf("%v in:\n%s", err, document)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
	refuse := func(kind schema.GroupVersionKind, name, namespace string) error {
		resource := schema.GroupResource{Group: kind.Group, Resource: strings.ToLower(strings.TrimSuffix(kind.Kind, "List")) + "s"}
		if slices.Contains(forbidden, resource.String()) && namespace == "" || slices.Contains(forbidden, resource.String()+"/"+namespace) {
			return apierrors.NewForbidden(resource, name, errors.New(`User "dev" cannot do that`))
		}
		if slices.Contains(absent, resource.String()) {
			return apierrors.NewNotFound(resource, name)
		}
		return nil
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			kind, err := c.GroupVersionKindFor(list)
			if err != nil {
				return err
			}
			var o client.ListOptions
			o.ApplyOptions(options)
			if err := refuse(kind, "", o.Namespace); err != nil {
				return err
			}
			return c.List(ctx, list, options...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			kind, err := c.GroupVersionKindFor(object)
			if err != nil {
				return err
			}
			if err := refuse(kind, key.Name, key.Namespace); err != nil {
				return err
			}
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
}
