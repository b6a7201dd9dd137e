package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	"plainspec.dev/plainspec/test/cluster"
)

// denied is how kubectl tells that an admission webhook said no; a webhook that
// could not be asked reads differently.
const denied = "denied the request"

// profiles is the file in examples/ that is no manifest but the server's configuration.
const profiles = "profiles.yaml"

// outcome is what became of a manifest.
type outcome string

const (
	admitted outcome = "admitted"
	refused  outcome = "refused"
	// failed means neither: the manifest or the cluster is broken.
	failed outcome = "FAILED"
)

// expected says what must become of an example; empty if nobody has said.
func expected(file string) outcome {
	switch file {
	case "01-war-init-container.yaml", "03-volume-with-download-url.yaml", "11-war-by-annotation.yaml":
		return admitted
	case "02-volume-hidden-version.yaml", "04-nginx-deployment-and-service.yaml", "05-ubuntu-vm.yaml":
		return refused
	}
	return ""
}

// surprises are the examples of which something else became than must, each a clause.
type surprises []string

func (s surprises) Error() string { return "apply examples: " + strings.Join(s, "; ") }

// surprise is the clause about one example, or empty if what became of it is right.
func surprise(file string, got outcome) string {
	switch want := expected(file); {
	case got == failed:
		return file + " could be neither admitted nor refused"
	case want != "" && got != want:
		return fmt.Sprintf("%s was %s, but must be %s", file, got, want)
	}
	return ""
}

func judge(result cluster.KubectlResult) outcome {
	switch {
	case result.ExitCode == 0:
		return admitted
	case strings.Contains(result.Stderr, denied):
		return refused
	}
	return failed
}

func examples(ctx context.Context, s state, out io.Writer) error {
	if usable, err := s.usable(ctx); err != nil || !usable {
		return errors.Join(errors.New("nothing is running; start it with: make up"), err)
	}
	return applyAll(ctx, s, out)
}

// applyAll applies each manifest of examples/ with kubectl and prints what
// happened, as kubectl shows it.
func applyAll(ctx context.Context, s state, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(s.root, "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(errors.New("find examples: there is no examples/*.yaml"), err)
	}
	files = slices.DeleteFunc(files, func(path string) bool { return filepath.Base(path) == profiles })
	fmt.Fprint(out, "\nkubectl apply -f examples/…, each in a namespace of its own:\n")
	counts := map[outcome]int{}
	var wrong surprises
	for _, path := range files {
		file := filepath.Base(path)
		result, err := s.applyExample(ctx, namespace(file), filepath.Join("examples", file))
		if err != nil {
			return err
		}
		o := judge(result)
		counts[o]++
		note := ""
		if clause := surprise(file, o); clause != "" {
			wrong = append(wrong, clause)
			note = "  <- wrong"
		}
		fmt.Fprintf(out, "\n%-8s  %s%s\n%s%s", o, file, note, indent(result.Stdout), indent(result.Stderr))
		if o != admitted {
			continue
		}
		if err := s.showCompleted(ctx, filepath.Join("examples", file), out); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		fmt.Fprintf(out, "\n%d admitted, %d refused, %d wrong\n", counts[admitted], counts[refused], len(wrong))
		return wrong
	}
	fmt.Fprintf(out, "\n%d admitted, %d refused, as they must be\n", counts[admitted], counts[refused])
	return nil
}

// notInNames is what the name of a namespace cannot contain.
var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// namespace is where an example goes: one of its own, since examples use the same names.
func namespace(file string) string {
	name := "example-" + notInNames.ReplaceAllString(strings.ToLower(strings.TrimSuffix(file, ".yaml")), "-")
	return strings.TrimRight(name[:min(len(name), validation.DNS1123LabelMaxLength)], "-")
}

// showCompleted prints what Plainspec adds to a manifest, nothing where it adds nothing: by the CLI,
// which asks the same code as the server and knows whether out takes colors.
func (s state) showCompleted(ctx context.Context, file string, out io.Writer) error {
	command := exec.CommandContext(ctx, s.cli(), "render", "--diff", "--config="+s.configuration(), "-f", file)
	command.Dir, command.Stdout = s.root, out
	var stderr strings.Builder
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("show what was added to %s: %w: %s", file, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// applyExample applies one manifest as if for the first time: what an earlier
// run left is deleted first, for an unchanged object would not be judged.
func (s state) applyExample(ctx context.Context, namespace, file string) (cluster.KubectlResult, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig())
	if err != nil {
		return cluster.KubectlResult{}, fmt.Errorf("read kubeconfig: %w", err)
	}
	if err := cluster.CreateNamespace(ctx, config, namespace, true); err != nil {
		return cluster.KubectlResult{}, err
	}
	result, err := s.runKubectl(ctx, "delete", "--namespace="+namespace, "--ignore-not-found", "--timeout=1m", "-f", file)
	if err != nil || result.ExitCode != 0 {
		return result, err
	}
	return s.runKubectl(ctx, "apply", "--namespace="+namespace, "-f", file)
}

func (s state) runKubectl(ctx context.Context, args ...string) (cluster.KubectlResult, error) {
	return cluster.KubectlCommand{Path: s.kubectl(), Kubeconfig: s.kubeconfig(), Dir: s.root, Args: args}.Run(ctx)
}

// indent sets text off from the lines around it.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("          " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
