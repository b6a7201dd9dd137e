package page

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/report"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample is a sort of rejection of which there are many.
type sample struct {
	code, severity, field, value, evidence, message, fix string
}

var samples = []sample{
	{
		"image.no_version", "high", "spec.template.spec.containers[0].image", "registry.example.com/shop/web:latest", "its tag is latest",
		`container "web" uses image registry.example.com/shop/web:latest, which does not say which version runs`, "name a version in the tag, as in nginx:1.27.3, or a digest",
	},
	{
		"version.hidden_in_volume", "critical", "spec.template.spec.containers[0].volumeMounts[0]", "/usr/local/tomcat/webapps", "the server tomcat reads applications from there",
		`container "web" reads its application from volume "files" (persistentVolumeClaim files), which does not say its version`, "pack the application as an image and ask for it by the annotation plainspec.dev/artifact",
	},
	{
		"version.unfilled_volume", "high", "spec.template.spec.containers[0].volumeMounts[0]", "/usr/local/tomcat/webapps", "no container writes to it",
		`container "web" reads its application from volume "files" (emptyDir), which nobody fills`, "fill the volume from an image",
	},
	{
		"version.driver_without_version", "high", "spec.template.spec.volumes[0].flexVolume.options.url", "https://example.com/app/latest/app.war", "the URL names no version",
		`volume "files" downloads https://example.com/app/latest/app.war, which names no version`, "name a version in the URL",
	},
	{
		"inject.lost", "high", "spec.template.metadata.annotations[plainspec.dev/artifact]", "geektime/sample:v3", "another webhook took it out",
		"the artifact geektime/sample:v3 was asked for and is not in the object", "look for a webhook that replaces init containers",
	},
	{
		"image.invalid", "medium", "spec.template.spec.containers[0].image", "Registry/Web", "a name has no capitals",
		`container "web" uses image Registry/Web, which is no image reference`, "write the reference as registries' clients do",
	},
	{
		"update.init_image_in_place", "high", "spec.initContainers[0].image", "geektime/sample:v4", "the container has ended",
		`init container "app" gets another image, which kubelet does not run again`, "delete the Pod and create it anew",
	},
	{
		"custom.no_version", "medium", "spec.version", "", "the member is missing", "the EtcdCluster does not say its version", "set spec.version",
	},
}

// many returns rejections of a month as they come: workdays have more, and some rules and namespaces many more.
func many(count int) []auditv1alpha1.Rejection {
	kinds := []string{"Deployment", "StatefulSet", "CronJob", "Pod", "DaemonSet"}
	namespaces := []string{"shop", "shop", "shop", "payments", "payments", "search", "data-platform", "batch", "team-notebooks-and-experiments", "web", "cms", "crm", "erp", "iot", "lab", "ops"}
	users := []string{"jane@example.com", "ci-deployer", "system:serviceaccount:argocd:argocd-application-controller", "li.wei@example.com"}
	names := []string{"web", "cart", "checkout", "catalogue-search-indexer", "nightly-report", "ledger"}
	records := make([]auditv1alpha1.Rejection, 0, count)
	state := uint32(7)
	next := func(n int) int { // a generator of its own keeps screenshots the same
		state = state*1664525 + 1013904223
		return int(state>>16) % n
	}
	for i := range count {
		ago := time.Duration(next(30*24*60)) * time.Minute
		if day := now.Add(-ago).Weekday(); day == time.Saturday || day == time.Sunday {
			ago = min(ago+48*time.Hour, 29*24*time.Hour)
		}
		s := samples[min(next(len(samples)), next(len(samples)))]
		namespace, kind, name := namespaces[next(len(namespaces))], kinds[next(len(kinds))], names[next(len(names))]
		last := metav1.NewTime(now.Add(-ago))
		tries := int64(1 + next(3)*next(9))
		r := auditv1alpha1.Rejection{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%010d", i), Namespace: "plainspec-system", Labels: map[string]string{auditv1alpha1.NamespaceLabel: namespace}},
			Outcome:    auditv1alpha1.OutcomeDenied, Operation: "CREATE", User: users[next(len(users))],
			Root:      auditv1alpha1.Root{Group: "apps", Kind: kind, Namespace: namespace, Name: name, Text: kind + " " + namespace + "/" + name},
			Rules:     []string{s.code},
			FirstTime: metav1.NewTime(last.Add(-time.Duration(tries-1) * time.Minute)), LastTime: last, Count: tries,
			Findings: []auditv1alpha1.Finding{{
				Code: s.code, Severity: s.severity, Container: "web", Field: s.field, Value: s.value, Evidence: s.evidence, Message: s.message, Fix: s.fix,
			}},
			PolicyRevision: "0123456789ab",
			Manifest: auditv1alpha1.Manifest{
				Labels:     map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/version": "1.4.2"},
				Containers: []auditv1alpha1.Container{{Name: "web", Role: "main", Image: "registry.example.com/shop/web:latest", Args: []string{"serve", "--port", "8080"}, Mounts: []auditv1alpha1.Mount{{Volume: "files", Path: "/usr/local/tomcat/webapps", ReadOnly: true}}}},
				Volumes:    []auditv1alpha1.Volume{{Name: "files", Class: "opaque", Source: "persistentVolumeClaim files"}},
			},
		}
		records = append(records, r)
	}
	return records
}

// large returns records of fifty namespaces as full as they may be, with names as long as they come. The first were tried
// so often, the others once.
func large(tries ...int64) []auditv1alpha1.Rejection {
	users := []string{"system:serviceaccount:ci:deployer", "system:serviceaccount:team-notebooks-and-experiments:notebook-controller", "platform-engineering-oncall@example.com"}
	records := many(50 * auditv1alpha1.KeptPerNamespace)
	for i := range records {
		r := &records[i]
		r.Outcome, r.User, r.Count = auditv1alpha1.OutcomeObserved, users[i%len(users)], 1
		r.Root.Namespace = fmt.Sprintf("team-%02d", i%50)
		if i%50 == 7 {
			r.Root.Namespace = "team-notebooks-and-experiments"
		}
		r.Root.Text = r.Root.Kind + " " + r.Root.Namespace + "/" + r.Root.Name
		if i < len(tries) {
			r.Count = tries[i]
		}
	}
	return records
}

// told are the rejections that the report's own tests read, with texts that want to be markup.
func told(t *testing.T) []auditv1alpha1.Rejection {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "report", "testdata", "rejections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list auditv1alpha1.RejectionList
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// write writes the page of records that a cluster holds, and returns its path and the report.
func write(t *testing.T, records []auditv1alpha1.Rejection, f report.Filter) (string, *report.Rejections) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := auditv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	held := fake.NewClientBuilder().WithScheme(scheme).WithLists(&auditv1alpha1.RejectionList{Items: records}).Build()
	source := report.Source{Client: held, Namespace: "plainspec-system"}
	read, err := source.Read(t.Context(), f.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	rejections := report.NewRejections(read, f, now)
	path := filepath.Join(t.TempDir(), "page.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := rejections.WritePage(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path, rejections
}
