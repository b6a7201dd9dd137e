package chart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/test/cluster"
)

// patience bounds every wait: what it waits for takes seconds on an idle machine.
const patience = 3 * time.Minute

// story is a test that uses the cluster and one version of Helm.
type story struct {
	*testing.T
	*environment

	program string // Helm
}

func (s *story) run(values string, args ...string) {
	s.Helper()
	out, err := s.helm(s.Context(), s.program, values, args...)
	if err != nil {
		s.Fatal(err, s.state())
	}
	s.Logf("helm %s\n%s", strings.Join(args, " "), out)
}

// install installs the chart and waits as users do.
func (s *story) install(values string) {
	s.Helper()
	s.run(localValues+values, "install", release, s.chart(), "--create-namespace", "--wait", "--timeout=3m")
}

func (s *story) upgrade(values string, args ...string) {
	s.Helper()
	s.run(localValues+values, append([]string{"upgrade", release, s.chart(), "--wait", "--timeout=3m"}, args...)...)
}

// state is what helps to understand why something did not come up.
func (s *story) state() string {
	result, _ := s.cluster.Kubectl(s.Context(), "get", "pods,endpointslices,certificates", "--namespace="+namespace, "-o", "yaml")
	return "\n" + result.Stdout
}

func (s *story) kubectl(args ...string) cluster.KubectlResult {
	s.Helper()
	result, err := s.cluster.Kubectl(s.Context(), args...)
	if err != nil {
		s.Fatal(err)
	}
	return result
}

// must runs kubectl and returns what it printed.
func (s *story) must(args ...string) string {
	s.Helper()
	result := s.kubectl(args...)
	if result.ExitCode != 0 {
		s.Fatalf("kubectl %q: exit code %d: %s", args, result.ExitCode, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout)
}

// example is the path of a file in examples/.
func (s *story) example(name string) string { return s.root + "/examples/" + name + ".yaml" }

const (
	admittedExample = "01-war-init-container"
	refusedExample  = "02-volume-hidden-version"
)

// team makes a namespace for one test.
func (s *story) team(name string) {
	s.Helper()
	if err := s.cluster.CreateNamespace(s.Context(), name); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = s.client.CoreV1().Namespaces().Delete(context.WithoutCancel(s.Context()), name, metav1.DeleteOptions{})
	})
}

// apply applies an example once, without trying again, and deletes it if it was admitted: examples use
// the same names, and only what is new is judged as a whole.
func (s *story) apply(namespace, example string) cluster.KubectlResult {
	s.Helper()
	result := s.kubectl("apply", "--namespace="+namespace, "-f", s.example(example))
	if result.ExitCode == 0 {
		s.must("delete", "--namespace="+namespace, "--now", "-f", s.example(example))
	}
	return result
}

func (s *story) wantAdmitted(result cluster.KubectlResult) {
	s.Helper()
	if result.ExitCode != 0 {
		s.Errorf("refused, want it admitted: %s", result.Stderr)
	}
}

// wantRefused wants the answer of a webhook that judges, and not that of one that cannot be asked.
func (s *story) wantRefused(result cluster.KubectlResult) {
	s.Helper()
	const denied = `admission webhook "roots.validate.plainspec.dev" denied the request: `
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, denied) {
		s.Errorf("exit code %d, want a refusal: %s%s", result.ExitCode, result.Stdout, result.Stderr)
	}
}

// until waits for something to be no error.
func (s *story) until(what string, is func() error) {
	s.Helper()
	var last error
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(100 * time.Millisecond) {
		if last = is(); last == nil {
			return
		}
	}
	s.Fatalf("waited %s until %s: %v%s", patience, what, last, s.state())
}

// pods are the chart's that are not being deleted.
func (s *story) pods() []corev1.Pod {
	s.Helper()
	list, err := s.client.CoreV1().Pods(namespace).List(s.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=plainspec"})
	if err != nil {
		s.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// untilReady waits until so many replicas are ready, and no other is there.
func (s *story) untilReady(want int) {
	s.Helper()
	s.until(fmt.Sprintf("%d replicas are ready", want), func() error {
		pods := s.pods()
		if len(pods) != want || slices.ContainsFunc(pods, func(p corev1.Pod) bool { return !ready(&p) }) {
			return fmt.Errorf("there are %d, or they are not ready", len(pods))
		}
		return nil
	})
}

// reviews asks for reviews all the time until the returned function is called, which reports each that
// could not be had: as an error of the request where the webhook fails closed, and from the API server's
// log where it fails open. A few that took too long are no failure, since what else this machine does is not
// what is looked at; many are: so it looks if requests go to a replica that has left.
func (s *story) reviews(namespace string) (finish func()) {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	var answered, late atomic.Int64
	var group errgroup.Group
	begin, logged := time.Now(), len(s.unanswered(0))
	for _, image := range []string{"example.com/shop:1.2.3", "example.com/shop:latest"} {
		group.Go(func() error {
			var failures []error
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{GenerateName: "review-", Annotations: map[string]string{"plainspec.dev/review": "asks for completion"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop", Image: image}}},
				}
				_, err := s.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				isDenied := apierrors.IsForbidden(err) && strings.Contains(err.Error(), "image.no_version") && strings.HasSuffix(image, ":latest")
				switch {
				case ctx.Err() != nil:
				case err == nil || isDenied:
					answered.Add(1)
				case strings.Contains(err.Error(), tooLate):
					late.Add(1)
				default:
					failures = append(failures, err)
				}
			}
			return errors.Join(failures...)
		})
	}
	return func() {
		s.Helper()
		stop()
		if err := group.Wait(); err != nil {
			s.Errorf("reviews failed: %v", err)
		}
		if failed := s.unanswered(logged); len(failed) > 0 {
			s.Errorf("%d reviews could not be had:\n%s", len(failed), strings.Join(failed, "\n"))
		}
		s.Logf("%d reviews in %s, and %d that took too long", answered.Load(), time.Since(begin).Round(time.Second), late.Load())
		if late.Load()*20 > answered.Load() {
			s.Errorf("%d reviews took too long, and only %d were answered", late.Load(), answered.Load())
		}
		if answered.Load() < 20 {
			s.Errorf("only %d reviews: that shows nothing", answered.Load())
		}
	}
}

// tooLate is how the API server says that a webhook did not answer in time.
const tooLate = "context deadline exceeded"

// unanswered returns what the API server has logged about reviews that it could not have, but for those
// that took too long or were given up by whoever asked, without the first ones.
func (s *story) unanswered(without int) []string {
	s.Helper()
	log, err := os.ReadFile(filepath.Join(s.cluster.LogDir(), "kube-apiserver.log"))
	if err != nil {
		s.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "Failed calling webhook") && !strings.Contains(line, tooLate) && !strings.Contains(line, context.Canceled.Error()) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines[without:]
}
