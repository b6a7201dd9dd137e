// Package chartrender holds the chart to the code that it installs: what both Helms render is what the server's packages
// say.
package chartrender

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/test/cluster"
)

const (
	root  = "../.."
	chart = root + "/charts/plainspec"
	// The release that is rendered.
	release, namespace = "plainspec", "plainspec-system"
	// kubeVersion is that of the cluster for which the chart is rendered; without one, Helm takes its own.
	kubeVersion = "1.36.0"
)

// A helm is one of the two programs that install the chart, by its major version.
type helm string

const (
	helm4 helm = "4"
	helm3 helm = "3"
)

// programs are their paths; each is built once.
var programs = map[helm]func() (string, error){
	helm4: sync.OnceValues(func() (string, error) { return cluster.Helm(context.Background(), string(helm4), os.Stderr) }), //nolint:forbidigo // no test's context: others wait for it, too
	helm3: sync.OnceValues(func() (string, error) { return cluster.Helm(context.Background(), string(helm3), os.Stderr) }), //nolint:forbidigo // as above
}

// run runs Helm and returns what it prints, and as an error what it says if it fails.
func (h helm) run(ctx context.Context, args ...string) (string, error) {
	program, err := programs[h]()
	if err != nil {
		return "", err
	}
	home := filepath.Join(os.TempDir(), "plainspec-no-helm-settings")
	cmd := cluster.HelmCommand(ctx, program, home, os.DevNull, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s of version %s: %w\n%s", args[0], h, err, stderr.String())
	}
	return stdout.String(), nil
}

// values are values of the chart.
type values map[string]any

// minimal are the values that must be given, with others.
func minimal(others values) values {
	all := values{"exemptNamespaces": []any{"kube-system", "cert-manager"}}
	maps.Copy(all, others)
	return all
}

// template returns what Helm renders.
func (h helm) template(t *testing.T, v values) (string, error) {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return h.run(t.Context(), "template", release, chart, "--namespace", namespace, "--kube-version", kubeVersion, "--values", file)
}

// objects are what a chart renders to, by kind and name.
type objects map[string]*unstructured.Unstructured

// render returns the objects that Helm renders.
func (h helm) render(t *testing.T, v values) objects {
	t.Helper()
	text, err := h.template(t, v)
	if err != nil {
		t.Fatal(err)
	}
	found := make(objects)
	decoder := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := decoder.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		// A key that is written twice is a mistake that Helm lets pass.
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(object.Object) == 0 {
			continue
		}
		key := object.GetKind() + " " + object.GetName()
		if found[key] != nil {
			t.Fatalf("%s is rendered twice", key)
		}
		found[key] = object
	}
}

// of returns the objects of a kind, in the order of their names.
func (o objects) of(kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range o {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return found
}

// read reads the object of a kind and a name as a type.
func read[T any](t *testing.T, from objects, kind, name string) *T {
	t.Helper()
	object := from[kind+" "+name]
	if object == nil {
		t.Fatalf("no %s %s is rendered", kind, name)
	}
	text, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	typed := new(T)
	if err := yaml.UnmarshalStrict(text, typed); err != nil {
		t.Fatalf("%s %s: %v", kind, name, err)
	}
	return typed
}
