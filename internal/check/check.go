// Package check is the pipeline's door for manifests that no API server has seen: it says what the
// server would answer to them, what it would make of them, and which version of what they run.
package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/assemble"
	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/workload"
)

// user is who is taken to apply the manifests: no controller, so that nothing is passed over.
const user = "developer"

// defaultNamespace is the namespace of objects that name none, if the caller names none either.
const defaultNamespace = "default"

// Options say how to judge.
type Options struct {
	// Config is the path of a server's configuration file, empty for none.
	Config string
	// Policies is the path of a folder with policies and data over the library's, empty for none.
	Policies string
	// Enforcement is observe, warn or enforce; if empty, it is the configuration file's, and
	// enforce if there is no file.
	Enforcement string
	// Namespace is the namespace of objects that name none; "default" if empty.
	Namespace string
	// Now is the time of the review.
	Now time.Time
}

// Checker judges, explains and completes manifests.
type Checker struct {
	reviewer   *validate.Reviewer
	reader     *workload.Reader
	assumed    Assumed
	configured bool // by a file
	contact    string
	now        time.Time
}

// New reads the configuration and the policies. Its errors name the file, and where in it.
func New(ctx context.Context, o Options) (*Checker, error) {
	config, assumed, err := configuration(&o)
	if err != nil {
		return nil, err
	}
	config.Enforcement = v1alpha1.Enforcement(assumed.Enforcement)
	reviewer, err := assemble.Reviewer(ctx, assemble.Options{Config: config, ConfigFile: o.Config, Policies: o.Policies})
	if err != nil {
		return nil, err
	}
	return &Checker{
		reviewer: reviewer, reader: workload.NewReader(), assumed: assumed, configured: o.Config != "", contact: config.Contact, now: o.Now,
	}, nil
}

// configuration reads the configuration file, if there is one, and decides what is assumed.
func configuration(o *Options) (*v1alpha1.Configuration, Assumed, error) {
	assumed := Assumed{Operation: validate.Create, User: user, Namespace: o.Namespace, Enforcement: o.Enforcement, EnforcementFrom: "the command line"}
	if assumed.Namespace == "" {
		assumed.Namespace = defaultNamespace
	}
	switch validate.Enforcement(o.Enforcement) {
	case "", validate.Observe, validate.Warn, validate.Enforce:
	default:
		return nil, assumed, fmt.Errorf("enforcement %q is unknown: use observe, warn or enforce", o.Enforcement)
	}
	config := v1alpha1.Default()
	if o.Config != "" {
		var err error
		if config, err = v1alpha1.Load(o.Config); err != nil {
			return nil, assumed, err
		}
	}
	switch {
	case o.Enforcement != "":
	case o.Config != "":
		assumed.Enforcement, assumed.EnforcementFrom = string(config.Enforcement), o.Config
	default:
		assumed.Enforcement, assumed.EnforcementFrom = string(validate.Enforce), ""
	}
	return config, assumed, nil
}

// Check judges each object of a batch, completed as the server would complete it.
func (c *Checker) Check(ctx context.Context, batch manifest.Batch) *Result {
	result := &Result{
		APIVersion: APIVersion, Kind: "CheckResult", Assumed: c.assumed, PolicyRevision: c.reviewer.Set().Revision(),
		Objects: []Object{}, Problems: append([]manifest.Problem{}, batch.Problems...), contact: c.contact,
	}
	for i := range batch.Documents {
		d := &batch.Documents[i]
		object := Object{Place: placeOf(d), Findings: []Finding{}}
		as, decision, problems := c.review(ctx, d)
		result.Problems = append(result.Problems, problems...)
		object.Completion = as.completion
		if decision == nil {
			object.Error = problems[len(problems)-1].Text
		} else {
			object.Allowed = decision.Allowed()
			object.Skipped = skipped(d, decision.Skipped)
			object.Findings = findings(as, decision)
		}
		result.Objects = append(result.Objects, object)
	}
	result.Summary = summarize(result.Objects)
	return result
}

// review completes a document and judges it, as the server does. The decision is nil if it could
// not be judged; the last problem says why. What cannot be completed is judged as it is written.
func (c *Checker) review(ctx context.Context, d *manifest.Document) (*completed, *validate.Decision, []manifest.Problem) {
	as, incomplete := c.complete(ctx, d)
	decision, err := c.reviewer.Review(ctx, c.request(as.document), c.now)
	switch {
	case err != nil:
		return as, nil, []manifest.Problem{undecided(d, err)}
	case incomplete != nil:
		why := uncompleted(d, incomplete)
		why.Warning = true
		return as, &decision, []manifest.Problem{why}
	}
	return as, &decision, nil
}

func findings(as *completed, decision *validate.Decision) []Finding {
	found := make([]Finding, 0, len(decision.Judgements))
	for i := range decision.Judgements {
		j := &decision.Judgements[i]
		found = append(found, Finding{
			Code: j.Code, Mode: string(j.Mode), Severity: j.Rule.Severity, Container: j.Container, Volume: j.Volume, Spot: as.spot(j.Field),
			Value: redact.Text(j.Value), Evidence: redact.Text(j.Evidence), Message: j.Text, Fix: j.Rule.Fix,
		})
	}
	return found
}

// undecided says why an object could not be judged.
func undecided(d *manifest.Document, err error) manifest.Problem { return problem(d, "", err) }

// uncompleted says why an object could not be completed.
func uncompleted(d *manifest.Document, err error) manifest.Problem {
	return problem(d, "not completed: ", err)
}

// problem is an error about an object: where its own form is the reason, in words and with its line.
func problem(d *manifest.Document, what string, err error) manifest.Problem {
	line, text := d.Line, err.Error()
	if mismatch := (*workload.MismatchError)(nil); errors.As(err, &mismatch) {
		line, text = d.LineOfPointer(mismatch.Elements), mismatch.Error()
	}
	return manifest.Problem{Source: d.Source, Line: line, Text: title(placeOf(d).Object) + ": " + what + text}
}
