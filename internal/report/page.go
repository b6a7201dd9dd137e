package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// mostListed is how many rejections a page lists, so that it stays a page: some five megabytes that a telephone can open.
const mostListed = 1000

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
)

// The titles of pages about requests of one outcome, and of several.
const (
	titleDenied   = "What was refused"
	titleObserved = "What would be refused"
	titleBypassed = "What bypassed the rules"
	titleAll      = "What was refused, or would be"
)

// page is what the template shows.
type page struct {
	*Rejections

	Style  template.CSS
	Policy string // the Content-Security-Policy
	Title  string
	Lead   string

	Terms     []string
	Missing   []string
	Kept      string
	Others    int
	Period    string
	Revisions []string
	Tiles     []tile

	Bar    string // what a bar of a chart stands for
	Rules  []*count
	Chart  stacked
	Spaces []space
	Listed []Rejection
	Hidden int
}

// tile is one number of the summary.
type tile struct{ Number, Text string }

// space is a namespace's row.
type space struct {
	*count

	Full  string // says that rejections may be missing; empty if not
	Spark []bar  // none for what many namespaces have together
}

// WritePage writes the rejections as one HTML page that needs nothing else and runs no script. The counts are of all
// rejections, the list is of the latest 1,000.
func (r *Rejections) WritePage(w io.Writer) error {
	view, err := template.New("page").Funcs(template.FuncMap{
		"day":      func(t time.Time) string { return t.Format("2 Jan 2006") },
		"clock":    func(t time.Time) string { return t.Format("15:04") },
		"stamp":    func(t time.Time) string { return t.Format("2 Jan 2006 15:04 UTC") },
		"machine":  func(t time.Time) string { return t.Format(time.RFC3339) },
		"grouped":  grouped[int],
		"grouped6": grouped[int64],
		"word":     outcomeWord,
		"command":  commandLine,
		"meaning":  func(r Rejection) string { return r.meaning() },
		"headline": func(r Rejection) string { return r.headline() },
		"pieces":   pieces,
		"mount":    func(m auditv1alpha1.Mount) string { return mountText(&m) },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse page: %w", err)
	}
	if err := view.Execute(w, r.page()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func (r *Rejections) page() *page {
	period := newPeriod(r.Rejections, r.Filter.Since, r.GeneratedAt)
	hash := sha256.Sum256([]byte(pageStyle))
	p := &page{
		Rejections: r,
		Style:      template.CSS(pageStyle), //nolint:gosec // the style sheet is a file of this package
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-" +
			base64.StdEncoding.EncodeToString(hash[:]) + "'",
		Terms:     r.Filter.Terms(),
		Missing:   r.missing(),
		Kept:      Kept(),
		Others:    r.others,
		Period:    period.first.Format("2 Jan 2006") + " to " + dayOf(r.GeneratedAt).Format("2 Jan 2006"),
		Revisions: r.revisions(),
		Bar:       "day",
		Listed:    r.Rejections[:min(len(r.Rejections), mostListed)],
		Hidden:    max(0, len(r.Rejections)-mostListed),
	}
	if period.days > 1 {
		p.Bar = strconv.Itoa(period.days) + " days"
	}
	p.Title, p.Lead = r.headings()
	s := r.Summary
	for _, t := range []struct {
		number         int64
		singular, text string
	}{
		{int64(s.Rejections), "rejection", "rejections"},
		{s.Tries, "try", "tries"},
		{int64(s.Namespaces), "namespace", "namespaces"},
		{int64(s.Users), "user", "users"},
	} {
		if t.number == 1 {
			t.text = t.singular
		}
		p.Tiles = append(p.Tiles, tile{grouped(t.number), t.text})
	}
	if len(r.Rejections) == 0 {
		return p
	}
	p.Rules = fold(countBy(r.Rejections, period, func(r *Rejection) []string { return r.Rules }), mostSeries, "rules")
	p.Chart = stack(p.Rules, period)
	p.Spaces = r.spaces(period)
	return p
}

// spaces are the rows of the namespaces. What many of them have together is in no proportion to one: it has no bars.
func (r *Rejections) spaces(p period) []space {
	counts := countBy(r.Rejections, p, func(r *Rejection) []string { return []string{r.Root.Namespace} })
	rows := fold(counts, mostRows, "namespaces")
	single := len(rows)
	if single < len(counts) {
		single--
	}
	highest, full := 1, make(map[string]string)
	for _, c := range counts[:single] {
		highest = max(highest, slices.Max(c.series))
	}
	for _, gap := range r.Gaps {
		full[gap.Namespace] = "full"
	}
	spaces := make([]space, 0, len(rows))
	for _, c := range rows[:single] {
		spaces = append(spaces, space{c, full[c.Name], c.spark(p, highest)})
	}
	for _, c := range rows[single:] {
		folded, text := 0, ""
		for _, one := range counts[single:] {
			if full[one.Name] != "" {
				folded++
				text = fmt.Sprintf("%d full", folded)
			}
		}
		spaces = append(spaces, space{c, text, nil})
	}
	return spaces
}

// headings say what kind of requests the page is about.
func (r *Rejections) headings() (title, lead string) {
	switch r.Filter.Outcome {
	case auditv1alpha1.OutcomeDenied:
		return titleDenied, "Requests that Plainspec refused, with the reason, the place and the fix."
	case auditv1alpha1.OutcomeObserved:
		return titleObserved, "Requests that were admitted, and would be refused under enforcement: enforce."
	case auditv1alpha1.OutcomeBypassed:
		return titleBypassed, "Requests that were admitted because the user belongs to a break-glass group."
	}
	title = titleAll
	var sentences []string
	for _, o := range []struct {
		count        int
		title, ended string
	}{
		{r.Summary.Denied, titleDenied, "refused (denied)."},
		{r.Summary.Observed, titleObserved, "admitted, and would be refused under enforcement: enforce (observed)."},
		{r.Summary.Bypassed, titleBypassed, "admitted because the user belongs to a break-glass group (bypassed)."},
	} {
		if o.count > 0 && o.count == r.Summary.Rejections {
			title = o.title
		}
		switch o.count {
		case 0:
		case 1:
			sentences = append(sentences, "1 was "+o.ended)
		default:
			sentences = append(sentences, grouped(o.count)+" were "+o.ended)
		}
	}
	if len(sentences) == 0 {
		return title, "Requests that Plainspec refused, would refuse under enforcement: enforce, or let pass for a break-glass group."
	}
	return title, strings.Join(sentences, " ")
}

// revisions are the revisions of the policies that found something, five at most.
func (r *Rejections) revisions() []string {
	set := make(map[string]bool)
	for i := range r.Rejections {
		set[r.Rejections[i].PolicyRevision] = true
	}
	all := slices.Sorted(maps.Keys(set))
	if len(all) > 5 {
		all = append(all[:4], fmt.Sprintf("%d more", len(all)-4))
	}
	return all
}

// pieces cuts a name after what stands between its words.
func pieces(name string) []string {
	var pieces []string
	for {
		i := strings.IndexAny(name, ":/@._")
		if i < 0 || i == len(name)-1 {
			return append(pieces, name)
		}
		pieces, name = append(pieces, name[:i+1]), name[i+1:]
	}
}

// grouped writes a number with its thousands apart.
func grouped[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
