package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"plainspec.dev/plainspec/internal/report"
)

// deployments is a cluster that serves as many Deployments in pages: those with an even number name no version.
type deployments struct {
	client.Reader // of everything else

	count int
	// expires is the number of the Deployment at which the cluster has forgotten the list, once.
	expires int
	// forbids is the number of the Deployment from which on reading is forbidden, if it is not 0.
	forbids int
	pages   int
}

func (d *deployments) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	objects, ok := list.(*unstructured.UnstructuredList)
	var o client.ListOptions
	o.ApplyOptions(options)
	if !ok || objects.GetKind() != "DeploymentList" || o.Namespace != "" {
		return d.Reader.List(ctx, list, options...)
	}
	from := 0
	if o.Continue != "" {
		var state string
		if _, err := fmt.Sscanf(o.Continue, "%d-%s", &from, &state); err != nil {
			return err
		}
		if from == d.expires && state == "then" {
			expired := apierrors.NewResourceExpired("The provided continue parameter is too old")
			expired.ErrStatus.Continue = fmt.Sprintf("%d-now", from)
			return expired
		}
	}
	if d.forbids > 0 && from >= d.forbids {
		return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "", errors.New("no longer"))
	}
	d.pages++
	for i := from; i < d.count && i < from+int(o.Limit); i++ {
		objects.Items = append(objects.Items, deployment(i))
	}
	if next := from + int(o.Limit); next < d.count {
		objects.SetContinue(fmt.Sprintf("%d-then", next))
	}
	return nil
}

func deployment(i int) unstructured.Unstructured {
	image := "registry.example/app"
	if i%2 == 1 {
		image += ":1.2.3"
	}
	return unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": fmt.Sprintf("app-%05d", i), "namespace": fmt.Sprintf("team-%02d", i%50)},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "one", "image": image}, map[string]any{"name": "two", "image": image},
		}}}},
	}}
}

func readinessOptions(reader client.Reader, pageSize int64) report.ReadinessOptions {
	return report.ReadinessOptions{
		Source:      report.Source{Client: reader, Namespace: "plainspec-system", PageSize: pageSize},
		OwnerLabels: report.DefaultOwnerLabels(), Since: readinessNow.AddDate(0, 0, -7), Now: readinessNow,
	}
}

func TestReadinessReadsAllPagesAlsoWhenTheListIsForgotten(t *testing.T) {
	t.Parallel()
	cluster := &deployments{Reader: fakeCluster(t, nil, nil, nil), count: 1050, expires: 200}
	var told []int
	o := readinessOptions(cluster, 100)
	o.Progress = func(objects, _ int) {
		if len(told) == 0 && objects > 0 || len(told) > 0 && objects > told[len(told)-1] {
			told = append(told, objects)
		}
	}
	answer, err := report.AssessReadiness(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if cluster.pages != 11 {
		t.Errorf("%d pages were read, want 11", cluster.pages)
	}
	want := report.ReadinessSummary{
		Workloads: 1050, Denied: 525, Namespaces: 50, DeniedNamespaces: 25,
		Rules:    []report.RuleCount{{Code: "image.no_version", Workloads: 525}},
		Recorded: &report.ReadinessRecorded{Since: o.Since},
	}
	if diff := cmp.Diff(want, answer.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if len(told) != 1050 || told[1049] != 1050 {
		t.Errorf("progress was told %d times, want each of 1050 objects in turn", len(told))
	}
}

func TestReadinessDoesNotCountTwiceWhatItMayReadHalfOf(t *testing.T) {
	t.Parallel()
	cluster := &deployments{Reader: fakeCluster(t, nil, nil, nil), count: 4, forbids: 2}
	_, err := report.AssessReadiness(t.Context(), readinessOptions(cluster, 2))
	if want := "list deployments: deployments.apps is forbidden: no longer"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
}

func TestReadinessTextIsBoundedUnlessItIsWide(t *testing.T) {
	t.Parallel()
	cluster := &deployments{Reader: fakeCluster(t, nil, nil, nil), count: 1000}
	answer, err := report.AssessReadiness(t.Context(), readinessOptions(cluster, 500))
	if err != nil {
		t.Fatal(err)
	}
	table, wide := written(t, answer, report.FormatTable), written(t, answer, report.FormatWide)
	for name, c := range map[string]struct {
		text, part string
		want       int
	}{
		"a table shows the workloads of 20 groups, 5 of each": {table, "\n  Deployment app-", 100},
		"it says in each how many more there are":             {table, "\n  and 15 workloads more (see -o wide)\n", 20},
		"it says how many more groups there are":              {table, "\nand 5 groups more of namespace and owner (see -o wide)\n", 1},
		"it shows one finding of each workload":               {table, "\n    and 1 finding more\n", 100},
		"all groups have a row":                               {table, "20 of 20", 25},
		"wide text shows all workloads":                       {wide, "\n  Deployment app-", 500},
		"wide text shows all findings":                        {wide, "\n      fix: ", 1000},
		"wide text leaves nothing out":                        {wide, "more", 0},
	} {
		if got := strings.Count(c.text, c.part); got != c.want {
			t.Errorf("%s: %q is there %d times, want %d", name, c.part, got, c.want)
		}
	}
}

const secretive = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: {team: "password=hunter2"}
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"password":"hunter2"}'
    meta.helm.sh/release-name: "web password=hunter2"
spec:
  template:
    metadata: {annotations: {plainspec.dev/artifact: "user:hunter2@registry.example/app:v1", token: hunter2}}
    spec:
      containers:
      - name: web
        image: "https://user:hunter2@registry.example/web"
        command: [sh, -c, "curl -u user:hunter2 https://user:hunter2@files.example/app.jar?token=hunter2 -o /app.jar"]
        args: ["--password=hunter2", --token, hunter2]
        env: [{name: PASSWORD, value: hunter2}, {name: URL, value: "https://user:hunter2@db.example"}]
        volumeMounts: [{name: data, mountPath: /usr/local/tomcat/webapps}]
      volumes: [{name: data, flexVolume: {driver: example/download, options: {url: "https://user:hunter2@files.example/app?sig=hunter2", password: hunter2}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: odd, namespace: shop}
spec: {template: {spec: {containers: "password=hunter2 \u001b[31m"}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: pod
  namespace: shop
  ownerReferences: [{apiVersion: example.org/v1, kind: "Odd\u001b[2J", name: "secret=hunter2", uid: "1", controller: true}]
spec: {containers: [{name: pod, image: "registry.example/pod"}]}
`

func TestReadinessLeaksNoSecretAndCommandsNoTerminal(t *testing.T) {
	t.Parallel()
	answer, err := report.AssessReadiness(t.Context(), readinessOptions(fakeCluster(t, []byte(secretive), nil, nil), 0))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Summary.Denied != 2 || len(answer.Unjudged) != 1 {
		t.Fatalf("%d workloads would be denied and %d are unjudged, want 2 and 1", answer.Summary.Denied, len(answer.Unjudged))
	}
	for _, format := range []report.Format{report.FormatTable, report.FormatWide, report.FormatJSON, report.FormatYAML, report.FormatCSV} {
		text := written(t, answer, format)
		for _, leak := range []string{"hunter2", "\x1b"} {
			if at := strings.Index(text, leak); at >= 0 {
				t.Errorf("-o %s has %q in …%q", format, leak, text[max(0, at-80):min(len(text), at+40)])
			}
		}
	}
}

func TestReadinessNamesWhatIsNotAsItShouldBe(t *testing.T) {
	t.Parallel()
	config := func(name, text string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  namespace: plainspec-system\n" +
			"  labels: {app.kubernetes.io/name: plainspec, app.kubernetes.io/component: configuration}\ndata: {config.yaml: \"" + text + "\"}\n"
	}
	policies := func(name, key string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  namespace: plainspec-system\n" +
			"  labels: {app.kubernetes.io/name: plainspec, plainspec.dev/policies: \"\"}\ndata: {\"" + key + "\": \"what\"}\n"
	}
	webhook := func(name, home string) string {
		return "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: " + name +
			", labels: {app.kubernetes.io/name: plainspec}}\nwebhooks:\n- name: roots.validate.plainspec.dev\n" +
			"  clientConfig: {service: {name: plainspec, namespace: " + home + "}}\n---\n"
	}
	for name, c := range map[string]struct{ cluster, options, want string }{
		"another namespace was named than Plainspec's": {
			cluster: webhook("gate", "gate-system") + config("one", "{}"),
			options: "Named: true\n",
			want: `namespace "plainspec-system" is not Plainspec's: ValidatingWebhookConfiguration gate calls it in namespace "gate-system": ` +
				`leave --plainspec-namespace out, or name that`,
		},
		"the namespace that was named has no configuration": {
			options: "Named: true\n",
			want:    `no configuration of Plainspec in namespace "plainspec-system": is it installed there? see --plainspec-namespace`,
		},
		"Plainspec's namespace has no configuration": {
			cluster: webhook("gate", "gate-system") + config("one", "{}"),
			want: `no configuration of Plainspec in namespace "gate-system", where ValidatingWebhookConfiguration gate calls it in namespace "gate-system": ` +
				`say which holds with --config`,
		},
		"Plainspec is there twice": {
			cluster: webhook("gate", "gate-system") + webhook("other", "other-system"),
			want: `found Plainspec 2 times: ValidatingWebhookConfiguration gate calls it in namespace "gate-system", ` +
				`ValidatingWebhookConfiguration other calls it in namespace "other-system": name one with --plainspec-namespace`,
		},
		"a configuration of a rule that is not there": {
			cluster: config("one", `apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nrules: {no.such: {mode: warn}}\n`),
			want:    `apply configuration ConfigMap plainspec-system/one: rules["no.such"]: no such rule, known are `,
		},
		"a configuration that does not decode": {
			cluster: config("one", "enforcement: x"),
			want:    `read configuration: ConfigMap plainspec-system/one, config.yaml: `,
		},
		"two configurations": {
			cluster: config("one", "") + "---\n" + config("two", ""),
			want:    "read configuration: namespace plainspec-system has it 2 times (plainspec-system/one, plainspec-system/two): say which holds with --config",
		},
		"a policy that does not parse": {
			cluster: policies("own", "rules__shop__odd__odd.rego"),
			want:    "load policies (ConfigMap plainspec-system/own over the built-in ones): ",
		},
		"a policy in two places": {
			cluster: policies("own", "a.rego") + "---\n" + policies("own2", "a.rego"),
			want:    `read policies: "a.rego" is in more than one ConfigMap (plainspec-system/own, plainspec-system/own2): say which holds with --policies`,
		},
		"a policy outside of the folder": {
			cluster: policies("own", "..__a.rego"),
			want:    `read policies: ConfigMap own: key "..__a.rego" is no path of a file`,
		},
		"a namespace that does not exist": {
			options: "Namespace: nowhere\n",
			want:    `no namespace "nowhere" in the cluster`,
		},
		"a configuration file that does not exist": {
			options: "Config: nowhere.yaml\n",
			want:    "load configuration: open nowhere.yaml: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := assess(t, []byte(c.cluster), nil, nil, []byte(c.options))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error = %v, want it to begin with %q", err, c.want)
			}
		})
	}
}

func TestReadinessSaysOfWhichNamespacesRecordsMayBeMissing(t *testing.T) {
	t.Parallel()
	var cluster strings.Builder
	cluster.WriteString("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
	for i := range 100 {
		last := readinessNow.Add(-time.Duration(i) * time.Hour).Format(time.RFC3339)
		fmt.Fprintf(&cluster, "---\napiVersion: audit.plainspec.dev/v1alpha1\nkind: Rejection\nmetadata: {name: r%d, namespace: plainspec-system}\noutcome: Denied\n"+
			"root: {kind: Pod, namespace: shop, name: p%d}\nfirstTime: %q\nlastTime: %q\ncount: 1\n", i, i, last, last)
	}
	answer, err := assess(t, []byte(cluster.String()), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "rejections may be missing of namespace shop before 2026-03-04 09:00 UTC: " + report.Kept(); !slices.Contains(answer.Basis.Notes, want) {
		t.Errorf("notes are %q, want %q among them", answer.Basis.Notes, want)
	}
	if recorded := answer.Summary.Recorded; recorded.Workloads != 0 || !recorded.Since.Equal(readinessNow.Add(-99*time.Hour)) {
		t.Errorf("recorded = %+v, want no workload of what was denied, since the oldest record", recorded)
	}
}

func TestReadinessTakesFilesInPlaceOfTheClusters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nenforcement: warn\nrules: {image.no_version: {mode: \"off\"}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := readinessOptions(&deployments{Reader: fakeCluster(t, nil, []string{"configmaps/plainspec-system"}, nil), count: 4}, 0)
	o.Config, o.Policies = config, t.TempDir()
	answer, err := report.AssessReadiness(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !answer.Summary.Ready || answer.Summary.Workloads != 4 {
		t.Errorf("summary = %+v, want 4 workloads to be ready", answer.Summary)
	}
	if want := "file " + config; answer.Basis.Configuration != want || answer.Basis.Enforcement != "warn" {
		t.Errorf("configuration = %q, enforcement %q, want %q and warn", answer.Basis.Configuration, answer.Basis.Enforcement, want)
	}
}

// BenchmarkReadiness looks at 10,000 workloads, half of which would be denied.
func BenchmarkReadiness(b *testing.B) {
	for b.Loop() {
		cluster := &deployments{Reader: fakeCluster(b, nil, nil, nil), count: 10_000}
		answer, err := report.AssessReadiness(b.Context(), readinessOptions(cluster, 500))
		if err != nil {
			b.Fatal(err)
		}
		if err := answer.Write(&bytes.Buffer{}, report.FormatJSON); err != nil || answer.Summary.Denied != 5000 {
			b.Fatalf("%d would be denied, %v", answer.Summary.Denied, err)
		}
	}
}
