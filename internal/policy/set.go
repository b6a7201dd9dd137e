// Package policy is the Rego engine: it loads a policy set, checks it, and asks its rules. It
// knows neither HTTP nor Kubernetes.
package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// ErrUndefined is the error of a set whose rules gave no answer at all.
var ErrUndefined = errors.New("the policies gave no answer")

// findingKeys are the keys that a rule may give a finding.
var findingKeys = []string{"container", "evidence", "field", "value", "volume", "weak"}

// Set is a loaded policy set. It is immutable and safe for concurrent use.
type Set struct {
	revision string
	rules    []*Rule
	data     map[string]any
	query    rego.PreparedEvalQuery
	patterns cache.InterQueryValueCache
	reads    []ast.Ref
}

// Revision is the content hash of the set: 12 hexadecimal digits.
func (s *Set) Revision() string { return s.revision }

// Rules returns the set's rules, sorted by code.
func (s *Set) Rules() []*Rule { return slices.Clone(s.rules) }

// Rule returns a rule by its code, nil if the set has none of that code.
func (s *Set) Rule(code string) *Rule {
	i, ok := slices.BinarySearchFunc(s.rules, code, func(r *Rule, code string) int { return strings.Compare(r.Code, code) })
	if !ok {
		return nil
	}
	return s.rules[i]
}

// Reads reports whether a rule of the set may read the input at a path such as
// "workload", "mounts", "opaque", or anything above or below it.
func (s *Set) Reads(path ...string) bool {
	want := ast.InputRootRef.Copy()
	for _, element := range path {
		want = append(want, ast.StringTerm(element))
	}
	return slices.ContainsFunc(s.reads, func(ref ast.Ref) bool { return ref.HasPrefix(want) || want.HasPrefix(ref) })
}

// Evaluate asks every rule about an input, and returns their findings sorted by code, field and
// value. An error means that the question is not decided: a built-in failed, the context ended,
// or a rule gave no answer.
func (s *Set) Evaluate(ctx context.Context, input ast.Value) ([]Finding, error) {
	// Given a context alone, OPA starts a goroutine for each evaluation that waits for its end.
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	results, err := s.query.Eval(context.WithoutCancel(ctx), rego.EvalParsedInput(input), rego.EvalInterQueryBuiltinValueCache(s.patterns), rego.EvalExternalCancel(cancel))
	if topdown.IsCancel(err) {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate policies: %w", err)
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("evaluate policies: %w", ErrUndefined)
	}
	answer, ok := results[0].Bindings["answer"].(*ast.Term)
	if !ok {
		return nil, fmt.Errorf("evaluate policies: %w", ErrUndefined)
	}
	return s.findings(answer)
}

func (s *Set) findings(answer *ast.Term) ([]Finding, error) {
	pairs, ok := answer.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("evaluate policies: %w", ErrUndefined)
	}
	if pairs.Len() == 0 {
		return nil, nil
	}
	findings := make([]Finding, 0, pairs.Len())
	err := pairs.Iter(func(term *ast.Term) error {
		pair, ok := term.Value.(*ast.Array)
		if !ok || pair.Len() != 2 {
			return ErrUndefined
		}
		finding, err := decodeFinding(text(pair.Elem(0).Value), pair.Elem(1))
		findings = append(findings, finding)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("evaluate policies: %w", err)
	}
	slices.SortFunc(findings, compareFindings)
	return findings, nil
}

func compareFindings(a, b Finding) int {
	return cmp.Or(
		strings.Compare(a.Code, b.Code), compareFields(a.Field, b.Field),
		strings.Compare(a.Value, b.Value), strings.Compare(a.Evidence, b.Evidence),
	)
}

// compareFields orders field paths as the manifest has them: containers[2] before containers[10].
func compareFields(a, b string) int {
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	for same > 0 && isDigit(a[same-1]) {
		same--
	}
	a, b = a[same:], b[same:]
	// Indexes have no leading zeros, so the longer one is the greater.
	return cmp.Or(cmp.Compare(digits(a), digits(b)), strings.Compare(a, b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits is how many digits a text starts with.
func digits(text string) int {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return n
}

// decodeFinding reads one member of a rule's set.
func decodeFinding(code string, term *ast.Term) (Finding, error) {
	f := Finding{Code: code}
	object, ok := term.Value.(ast.Object)
	if !ok {
		return f, fmt.Errorf("rule %s: a finding is no object: %v", code, term)
	}
	err := object.Iter(func(key, value *ast.Term) error {
		if weak, ok := value.Value.(ast.Boolean); ok && text(key.Value) == "weak" {
			f.Weak = bool(weak)
			return nil
		}
		field := f.member(text(key.Value))
		content, ok := value.Value.(ast.String)
		if field == nil || !ok {
			return fmt.Errorf("rule %s: a finding has %v: %v, allowed are %q with strings (weak: a boolean)", code, key, value, findingKeys)
		}
		*field = string(content)
		return nil
	})
	if err == nil && f.Field == "" {
		err = fmt.Errorf("rule %s: a finding has no field", code)
	}
	return f, err
}

func (f *Finding) member(key string) *string {
	switch key {
	case "container":
		return &f.Container
	case "volume":
		return &f.Volume
	case "field":
		return &f.Field
	case "value":
		return &f.Value
	case "evidence":
		return &f.Evidence
	}
	return nil
}

func text(v ast.Value) string {
	s, _ := v.(ast.String)
	return string(s)
}
