package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Filter says which rejections a report is about. The zero value takes all.
type Filter struct {
	// Namespace is the namespace of what was applied.
	Namespace string `json:"namespace,omitempty"`
	// Rules are codes of rules: one of a rejection's must be among them.
	Rules []string `json:"rules,omitempty"`
	// User is the whole name of who made the request.
	User string `json:"user,omitempty"`
	// Since takes what was tried then or later, in UTC.
	Since *time.Time `json:"since,omitempty"`
	// Outcome is what became of the request.
	Outcome auditv1alpha1.Outcome `json:"outcome,omitempty"`
}

// matches reports whether a rejection is asked for.
func (f *Filter) matches(r *auditv1alpha1.Rejection) bool {
	return (f.Namespace == "" || r.Root.Namespace == f.Namespace) &&
		(len(f.Rules) == 0 || slices.ContainsFunc(r.Rules, func(code string) bool { return slices.Contains(f.Rules, code) })) &&
		(f.User == "" || r.User == f.User) &&
		(f.Since == nil || !r.LastTime.Time.Before(*f.Since)) &&
		(f.Outcome == "" || r.Outcome == f.Outcome)
}

// Terms are what is asked for, a word and what it must be each, such as "namespace shop".
func (f *Filter) Terms() []string {
	var terms []string
	if f.Outcome != "" {
		terms = append(terms, "outcome "+outcomeWord(f.Outcome))
	}
	if f.Namespace != "" {
		terms = append(terms, "namespace "+f.Namespace)
	}
	switch len(f.Rules) {
	case 0:
	case 1:
		terms = append(terms, "rule "+f.Rules[0])
	default:
		terms = append(terms, "rules "+strings.Join(f.Rules, " or "))
	}
	if f.User != "" {
		terms = append(terms, "user "+f.User)
	}
	if f.Since != nil {
		terms = append(terms, "since "+stamp(*f.Since))
	}
	for i := range terms {
		terms[i] = visible(terms[i])
	}
	return terms
}

// outcomes are the outcomes by their words on the command line.
var outcomes = map[string]auditv1alpha1.Outcome{
	"denied":   auditv1alpha1.OutcomeDenied,
	"observed": auditv1alpha1.OutcomeObserved,
	"bypassed": auditv1alpha1.OutcomeBypassed,
	"all":      "",
}

// ParseOutcome returns the outcome that denied, observed or bypassed names, in letters of either case, and an empty one for
// all.
func ParseOutcome(word string) (auditv1alpha1.Outcome, error) {
	outcome, ok := outcomes[strings.ToLower(word)]
	if !ok {
		return "", fmt.Errorf("outcome %q is unknown: use denied, observed (admitted, and refused under enforcement: enforce), bypassed (by a break-glass group) or all", word)
	}
	return outcome, nil
}

func outcomeWord(o auditv1alpha1.Outcome) string { return strings.ToLower(string(o)) }

// ParseSince reads a point in time: a duration before now, such as 90m, 24h, 7d or 2w, a date, whose first moment in UTC
// it is, or a time as in RFC 3339.
func ParseSince(text string, now time.Time) (time.Time, error) {
	since, err := parseSince(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("since %q is no time: use a duration such as 90m, 24h or 7d, a date such as %s, or a time such as %s",
			text, now.UTC().Format(time.DateOnly), now.UTC().Format(time.RFC3339))
	}
	if since.After(now) {
		return time.Time{}, fmt.Errorf("since %q lies in the future: it is %s now", text, stamp(now))
	}
	return since.UTC(), nil
}

func parseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if since, err := time.Parse(layout, text); err == nil {
			return since, nil
		}
	}
	for unit, days := range map[string]int{"d": 1, "w": 7} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			// 16 bits are 179 years of days: beyond that, it is a slip.
			count, err := strconv.ParseUint(number, 10, 16)
			return now.AddDate(0, 0, -days*int(count)), err
		}
	}
	duration, err := time.ParseDuration(text)
	return now.Add(-duration), err
}

// stamp writes a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
