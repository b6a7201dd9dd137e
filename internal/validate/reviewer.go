// Package validate is the pipeline of judgement: a request becomes facts, facts become findings,
// findings get their modes, and modes make a decision and its text. It is pure: no HTTP, no
// clock, no cluster. Reviewer.Review is the only door to it.
package validate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/workload"
)

// Enforcement is the one switch: the strictest mode that bites.
type Enforcement string

// The levels of enforcement.
const (
	Observe Enforcement = "observe" // findings are recorded only
	Warn    Enforcement = "warn"    // denials become warnings
	Enforce Enforcement = "enforce" // each rule's own mode
)

// cap is a mode under this level.
func (e Enforcement) cap(mode policy.Mode) policy.Mode {
	switch {
	case mode == policy.ModeOff || mode == policy.ModeAudit || e == Enforce:
		return mode
	case e == Warn:
		return policy.ModeWarn
	default:
		return policy.ModeAudit
	}
}

// Operations that are judged.
const (
	Create = "CREATE"
	Update = "UPDATE"
)

// Request is what the API server asks about, without its envelope.
type Request struct {
	// Operation is CREATE, UPDATE, DELETE or CONNECT.
	Operation string
	// Group and Kind are of the object.
	Group, Kind string
	// Namespace and Name are of the object; Name may be empty on CREATE.
	Namespace, Name string
	// SubResource is the requested subresource, empty for the object itself.
	SubResource string
	// User is the name of the user who makes the request, Groups the user's groups.
	User   string
	Groups []string
	// BreakGlass says that the user is never refused, for an emergency.
	BreakGlass bool
	// DryRun says that nothing will be stored.
	DryRun bool
	// Object is the object as JSON, OldObject the stored one on UPDATE.
	Object, OldObject []byte
}

// Skip is why a request is not judged, or its object not completed: both share their reasons, and
// what is out of scope for one is for the other.
type Skip = mutate.Skip

// The reasons for not judging a request. Whatever is not listed is judged.
const (
	SkipNone             = mutate.SkipNone
	SkipKind        Skip = "kind"        // holds no Pod spec that Plainspec knows
	SkipOperation   Skip = "operation"   // neither creates nor updates
	SkipSubresource Skip = "subresource" // status, scale and others that change no Pod spec
	SkipMirror           = mutate.SkipMirror
	SkipUnchanged        = mutate.SkipUnchanged
)

// Options are what a Reviewer is made of.
type Options struct {
	// Set is the policy set that judges.
	Set *policy.Set
	// Enforcement is the strictest mode that bites.
	Enforcement Enforcement
	// Modes override the mode of rules, by code.
	Modes map[string]policy.Mode
	// Controllers are users who make children of any kind, besides Kubernetes' own controllers.
	Controllers []string
	// Contact, if not empty, is the last line of each denial.
	Contact string
	// Completer completes what manifests leave out; nil completes by an empty configuration.
	Completer *mutate.Completer
}

// Reviewer judges requests under one policy set, large objects one after the other. It is safe for concurrent use.
type Reviewer struct {
	options     Options
	controllers map[string]bool // Kubernetes' own and those of the options
	reader      *workload.Reader
	want        workload.Groups
	object      bool // a policy refers to input.object
	large       *line
}

// New returns a Reviewer. It is an error to override the mode of a rule that the set does not have.
func New(o Options) (*Reviewer, error) {
	for _, code := range slices.Sorted(maps.Keys(o.Modes)) {
		if o.Set.Rule(code) == nil {
			codes := make([]string, 0, len(o.Set.Rules()))
			for _, r := range o.Set.Rules() {
				codes = append(codes, r.Code)
			}
			return nil, fmt.Errorf("rules[%q]: no such rule, known are %q", code, codes)
		}
	}
	if o.Completer == nil {
		completer, err := mutate.New(mutate.Options{})
		if err != nil {
			return nil, fmt.Errorf("make completer: %w", err)
		}
		o.Completer = completer
	}
	controllers := make(map[string]bool)
	for _, user := range slices.Concat(kinds.Controllers(), o.Controllers) {
		controllers[user] = true
	}
	return &Reviewer{
		options: o, controllers: controllers, reader: workload.NewReader(), want: wanted(o.Set), object: o.Set.Reads("object"),
		large: newLine(),
	}, nil
}

// Set is the policy set that the Reviewer judges by.
func (r *Reviewer) Set() *policy.Set { return r.options.Set }

// CompletionRevision is the content hash of the configuration that completes.
func (r *Reviewer) CompletionRevision() string { return r.options.Completer.Revision() }

// UndecidedError says that a request could not be judged: its object or the policies failed.
type UndecidedError struct {
	// Binding says that a finding could have denied the request: if not, it may be admitted.
	Binding bool
	// Err is what failed.
	Err error
}

// Error implements error.
func (e *UndecidedError) Error() string { return "could not decide: " + e.Err.Error() }

// Unwrap returns what failed.
func (e *UndecidedError) Unwrap() error { return e.Err }

// Review judges a request at a time. Its error is always an *UndecidedError.
func (r *Reviewer) Review(ctx context.Context, req Request, now time.Time) (Decision, error) {
	d := Decision{Request: req, Revision: r.options.Set.Revision(), contact: r.options.Contact}
	kind, skip := inScope(&req)
	if d.Skipped = skip; skip != SkipNone {
		return d, nil
	}
	binding := r.Binding(req.User) && !req.BreakGlass // until the object says more
	undecided := func(err error) (Decision, error) {
		return Decision{}, &UndecidedError{Binding: binding, Err: err}
	}
	turn := &turn{line: r.large}
	defer turn.end()
	if err := turn.read(ctx, &req); err != nil {
		return undecided(err)
	}
	same, err := req.unchanged(kind)
	if err != nil {
		return undecided(err)
	}
	if same {
		d.Skipped = SkipUnchanged
		return d, nil
	}
	object, err := workload.Decode(req.Object, kind)
	if err != nil {
		return undecided(err)
	}
	r.place(&d, object)
	d.bypass = r.options.Enforcement == Enforce && req.BreakGlass
	binding = r.options.Enforcement == Enforce && !d.Child && !d.bypass
	if object.Mirror() && slices.Contains(req.Groups, "system:nodes") {
		d.Skipped = SkipMirror
		return d, nil
	}
	if err := turn.judge(ctx, object); err != nil {
		return undecided(err)
	}
	facts, judgements, err := r.judge(ctx, &req, object, d.Child)
	if err != nil {
		return undecided(err)
	}
	d.Judgements = judgements
	if err := r.ratchet(ctx, turn, kind, &d); err != nil {
		return undecided(err)
	}
	d.finish(object, facts, now)
	return d, nil
}

// Complete says what is missing in the object of a request; it is skipped for the reasons of Skip
// and of the Completer, and in every subresource. Its error means that nothing could be told; a
// request is never refused for that.
func (r *Reviewer) Complete(ctx context.Context, req Request) (mutate.Result, error) {
	kind, skip := inScope(&req)
	if skip == SkipNone && req.SubResource != "" {
		skip = SkipSubresource
	}
	if skip != SkipNone {
		return mutate.Result{Skipped: skip}, nil
	}
	return r.options.Completer.Complete(ctx, req.completion(kind))
}

// unchanged reports whether the request is an update that leaves the Pod template as it was.
func (r *Request) unchanged(kind kinds.Kind) (bool, error) {
	if r.Operation != Update || len(r.OldObject) == 0 {
		return false, nil
	}
	return workload.SameTemplate(r.Object, r.OldObject, kind)
}

func (r *Request) completion(kind kinds.Kind) mutate.Input {
	return mutate.Input{Kind: kind, Update: r.Operation == Update, Namespace: r.Namespace, Object: r.Object, Old: r.OldObject}
}

// unjudged are the subresources that change no Pod spec, or only what is no version.
var unjudged = []string{"status", "scale", "resize", "binding", "eviction", "exec", "attach", "portforward", "proxy", "log", "rollback"}

func inScope(req *Request) (kinds.Kind, Skip) {
	kind, ok := kinds.Find(req.Group, req.Kind)
	switch {
	case !ok:
		return kind, SkipKind
	case req.Operation != Create && req.Operation != Update:
		return kind, SkipOperation
	case slices.Contains(unjudged, req.SubResource):
		return kind, SkipSubresource
	}
	return kind, SkipNone
}

// Binding reports whether a finding can deny a request of this user, as far as the user alone
// tells: not while Plainspec only observes or warns, and not for workload controllers.
func (r *Reviewer) Binding(user string) bool {
	return r.options.Enforcement == Enforce && !r.controllers[user]
}

// makesChildren reports whether a user is the controller of an owner: an ownerReference alone
// proves nothing, because anybody can write one.
func (r *Reviewer) makesChildren(user string, owner workload.Owner) bool {
	return kinds.MakesChildren(user, owner.Group, owner.Kind) || slices.Contains(r.options.Controllers, user)
}

// judge turns an object into facts, asks the policies, and gives each finding its mode.
func (r *Reviewer) judge(ctx context.Context, req *Request, object *workload.Object, child bool) (*workload.Workload, []Judgement, error) {
	facts := r.reader.Read(object, r.want)
	if r.want.Artifacts && object.Asks() {
		destinations, err := r.destinations(req, object)
		if err != nil {
			return nil, nil, err
		}
		facts.AddArtifacts(destinations)
	}
	input := Input{Workload: *facts, Request: InputRequest{
		Operation: req.Operation, Kind: req.Kind, Group: req.Group, Namespace: req.Namespace, User: req.User, DryRun: req.DryRun,
	}}
	if r.object {
		if err := util.UnmarshalJSON(req.Object, &input.Object); err != nil {
			return nil, nil, fmt.Errorf("decode object: %w", err)
		}
	}
	value, err := encode(&input)
	if err != nil {
		return nil, nil, fmt.Errorf("encode input: %w", err)
	}
	findings, err := r.options.Set.Evaluate(ctx, value)
	if err != nil {
		return nil, nil, err
	}
	judgements := make([]Judgement, 0, len(findings))
	for _, finding := range findings {
		rule := r.options.Set.Rule(finding.Code)
		enforced := r.mode(rule, finding, child)
		if enforced == policy.ModeOff {
			continue
		}
		finding.Image, finding.Source = facts.Repository(finding.Container), facts.VolumeSource(finding.Volume)
		judgement, err := newJudgement(rule, finding, enforced)
		if err != nil {
			return nil, nil, err
		}
		judgement.Mode = r.options.Enforcement.cap(enforced)
		judgements = append(judgements, judgement)
	}
	return facts, judgements, nil
}

// mode is a finding's mode while Plainspec enforces: the rule's, or what the configuration says
// instead, made milder for weak evidence and for children.
func (r *Reviewer) mode(rule *policy.Rule, finding policy.Finding, child bool) policy.Mode {
	mode := rule.ModeOf(finding)
	if override, ok := r.options.Modes[rule.Code]; ok {
		mode = override
		if finding.Weak {
			mode = policy.Milder(override, rule.WeakMode)
		}
	}
	if child {
		mode = policy.Milder(mode, policy.ModeAudit)
	}
	return mode
}

// ratchet turns denials on UPDATE into warnings where the stored object would get the same denial:
// who changes something else is not made to mend it now. It does so at each level of enforcement, so
// that what is observed is what would be denied.
func (r *Reviewer) ratchet(ctx context.Context, turn *turn, kind kinds.Kind, d *Decision) error {
	req := &d.Request
	if len(d.Refusing()) == 0 || req.Operation != Update || len(req.OldObject) == 0 {
		return nil
	}
	old, err := workload.Decode(req.OldObject, kind)
	if err != nil {
		return fmt.Errorf("old object: %w", err)
	}
	if err := turn.judge(ctx, old); err != nil {
		return err
	}
	before := *req
	before.Object = req.OldObject
	_, judgements, err := r.judge(ctx, &before, old, false)
	if err != nil {
		return fmt.Errorf("old object: %w", err)
	}
	known := make(map[string]bool, len(judgements))
	for i := range judgements {
		if judgements[i].Refuses() { // what only warned was never let through as a denial
			known[judgements[i].Fingerprint()] = true
		}
	}
	for i := range d.Judgements {
		if j := &d.Judgements[i]; j.Refuses() && known[j.Fingerprint()] {
			j.Enforced, j.Mode, j.Ratcheted = policy.ModeWarn, r.options.Enforcement.cap(policy.ModeWarn), true
		}
	}
	return nil
}
