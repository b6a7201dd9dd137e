package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/workload"
)

const (
	// policiesLabel makes a ConfigMap one of policies, whatever its value.
	policiesLabel = workload.AnnotationPrefix + "policies"
	// mostPolicyFiles and mostPolicyBytes bound what is compiled at one request: more than twice the built-in policies.
	mostPolicyFiles = 200
	mostPolicyBytes = 512 << 10
	// policiesAtOnce is how many sets are compiled at once: that takes a processor for a second, which reviews miss.
	policiesAtOnce = 1
	// policiesWaiting is how many more wait for their turn. Each takes one of the places of reviews (--max-in-flight).
	policiesWaiting = 3
	// longestPolicyProblem bounds the text of what is wrong, in bytes: some ten problems with their lines.
	longestPolicyProblem = 8 << 10
)

// PolicyChecker says whether policies load; *assemble.PolicyChecker is one.
type PolicyChecker interface {
	// CheckPolicies checks the data of a ConfigMap of policies. The error says why they do not load, with file, line and
	// column; the warnings are what people should know of those that do.
	CheckPolicies(ctx context.Context, data map[string]string) (warnings []string, err error)
}

// Policies is the admission.Handler of ConfigMaps of policies: what does not load is refused before it is stored. It
// fails open, since a server does not start with a broken set, and those that run go on with theirs.
type Policies struct {
	checker   PolicyChecker
	namespace string
	places    *semaphore.Weighted
	turns     *semaphore.Weighted
	reviews   *prometheus.CounterVec
}

// PoliciesOptions are what Policies is made of.
type PoliciesOptions struct {
	// Checker checks.
	Checker PolicyChecker
	// Namespace is the one whose ConfigMaps are checked; those of others are no policies.
	Namespace string
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
}

// NewPolicies returns a Policies. It is an error if its metrics are registered already.
func NewPolicies(o PoliciesOptions) (*Policies, error) {
	p := &Policies{
		checker:   o.Checker,
		namespace: o.Namespace,
		places:    semaphore.NewWeighted(policiesAtOnce + policiesWaiting),
		turns:     semaphore.NewWeighted(policiesAtOnce),
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_policy_reviews_total", Help: "ConfigMaps of policies, by result: admitted, denied, undecided or skipped.",
		}, []string{"result"}),
	}
	if err := o.Registerer.Register(p.reviews); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return p, nil
}

// Handle checks one ConfigMap.
func (p *Policies) Handle(ctx context.Context, req admission.Request) admission.Response {
	data, err := p.policiesOf(&req)
	if err == nil && data == nil {
		p.reviews.WithLabelValues("skipped").Inc()
		return admission.Allowed("")
	}
	var warnings []string
	if err == nil {
		warnings, err = p.check(ctx, &req, data)
	}
	for i := range warnings {
		warnings[i] = "policies: " + warnings[i]
	}
	if broken := (*brokenError)(nil); errors.As(err, &broken) {
		p.reviews.WithLabelValues("denied").Inc()
		text := broken.Error()
		logger(ctx, &req).Info("policies denied", "problem", strings.SplitN(text, "\n", 2)[0])
		return admission.Denied(refusal(&req, text)).WithWarnings(validate.Warnings(warnings)...)
	}
	if err != nil {
		p.reviews.WithLabelValues("undecided").Inc()
		logger(ctx, &req).Error(err, "policies not checked")
		return admission.Allowed("").WithWarnings(validate.Warnings([]string{"policies: not checked: " + err.Error()})...)
	}
	p.reviews.WithLabelValues("admitted").Inc()
	return admission.Allowed("").WithWarnings(validate.Warnings(warnings)...)
}

// brokenError says why policies do not load.
type brokenError struct{ error }

// refusal says what is wrong, and that nothing has happened yet. Its first line is complete in itself.
func refusal(req *admission.Request, problem string) string {
	if len(problem) > longestPolicyProblem {
		problem = strings.ToValidUTF8(problem[:longestPolicyProblem], "") + " …"
	}
	return fmt.Sprintf("the policies of ConfigMap %s/%s do not load: %s\nNothing has changed: the policies that are loaded go on judging. Fix the files and apply again.",
		req.Namespace, req.Name, problem)
}

// policiesOf returns the policies of a request, nil if it brings none.
func (p *Policies) policiesOf(req *admission.Request) (map[string]string, error) {
	if req.Kind.Kind != "ConfigMap" || req.Kind.Group != "" || req.SubResource != "" || req.Namespace != p.namespace ||
		req.Operation != admissionv1.Create && req.Operation != admissionv1.Update {
		return nil, nil
	}
	var object struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Data       map[string]string `json:"data"`
		BinaryData map[string]string `json:"binaryData"`
	}
	if err := jsonv2.Unmarshal(req.Object.Raw, &object); err != nil {
		return nil, fmt.Errorf("decode ConfigMap: %w", workload.InWords(err))
	}
	if _, ok := object.Metadata.Labels[policiesLabel]; !ok {
		return nil, nil // an update takes the label away
	}
	size := 0
	for _, text := range object.Data {
		size += len(text)
	}
	switch {
	case len(object.BinaryData) > 0:
		return nil, &brokenError{errors.New("binaryData is not read: policies are text, in data")}
	case len(object.Data) > mostPolicyFiles:
		return nil, &brokenError{fmt.Errorf("%d files are more than %d: put rules that belong together into one", len(object.Data), mostPolicyFiles)}
	case size > mostPolicyBytes:
		return nil, &brokenError{fmt.Errorf("%d KiB are more than %d KiB", size>>10, mostPolicyBytes>>10)}
	case object.Data == nil:
		return map[string]string{}, nil
	}
	return object.Data, nil
}

// check waits for its turn, and for the answer as long as ctx allows: compiling cannot be broken off, so what takes longer
// keeps its turn and is forgotten.
func (p *Policies) check(ctx context.Context, req *admission.Request, data map[string]string) ([]string, error) {
	if !p.places.TryAcquire(1) {
		return nil, errors.New("others are being checked, apply it again later")
	}
	defer p.places.Release(1)
	if err := p.turns.Acquire(ctx, 1); err != nil {
		return nil, errors.New("others are being checked, apply it again later")
	}
	type answer struct {
		warnings []string
		err      error
	}
	answers := make(chan answer, 1)
	var group errgroup.Group
	group.Go(func() error {
		defer p.turns.Release(1)
		warnings, err := p.compile(context.WithoutCancel(ctx), req, data)
		answers <- answer{warnings, err}
		return nil
	})
	select {
	case a := <-answers:
		return a.warnings, a.err
	case <-ctx.Done():
		return nil, errors.New("that took too long, apply it again later")
	}
}

// compile asks the checker; a panic is no verdict.
func (p *Policies) compile(ctx context.Context, req *admission.Request, data map[string]string) (warnings []string, err error) {
	defer recovered(ctx, req, &err)
	if warnings, err = p.checker.CheckPolicies(ctx, data); err != nil {
		err = &brokenError{err}
	}
	return warnings, err
}
