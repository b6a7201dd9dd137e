package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

func tried(at string, rules ...string) Rejection {
	last, err := time.Parse(time.DateOnly, at)
	if err != nil {
		panic(err)
	}
	return Rejection{LastTime: last.Add(23 * time.Hour), Rules: rules, Count: 2}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	at := func(text string) *time.Time {
		since, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return &since
	}
	for name, tc := range map[string]struct {
		rejections        []Rejection
		since             *time.Time
		first, last       string
		bars              int
		wantTicks, narrow int
	}{
		"two weeks, if nothing older is there": {[]Rejection{tried("2026-02-27")}, nil, "16 Feb 2026", "1 Mar 2026", 14, 7, 4},
		"from the first rejection":             {[]Rejection{tried("2026-03-01"), tried("2026-02-01")}, nil, "1 Feb 2026", "1 Mar 2026", 29, 6, 3},
		"since a day, also if nothing was":     {nil, at("2026-02-27"), "27 Feb 2026", "1 Mar 2026", 3, 3, 2},
		"today":                                {nil, at("2026-03-01"), "1 Mar 2026", "1 Mar 2026", 1, 1, 1},
		"62 days are days":                     {nil, at("2025-12-30"), "30 Dec 2025", "1 Mar 2026", 62, 7, 4},
		"63 days are weeks":                    {nil, at("2025-12-29"), "29 Dec 2025 to 4 Jan 2026", "23 Feb 2026 to 1 Mar 2026", 9, 5, 3},
		"64 days are weeks, the first shorter": {nil, at("2025-12-28"), "28 Dec 2025", "23 Feb 2026 to 1 Mar 2026", 10, 5, 3},
		"years are longer bars":                {nil, at("2016-03-01"), "1 Mar 2016 to 23 Apr 2016", "2 Jan 2026 to 1 Mar 2026", 62, 7, 4},
		"centuries are bars of years":          {nil, at("1500-01-01"), "1 Jan 1500 to 5 Jun 1508", "5 Sep 2017 to 1 Mar 2026", 62, 7, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeriod(tc.rejections, tc.since, now)
			narrow := 0
			ticks := p.ticks()
			for _, tick := range ticks {
				if tick.Narrow {
					narrow++
				}
			}
			got := fmt.Sprintln(p.name(0), "…", p.name(p.bars-1), p.bars, len(ticks), narrow)
			if want := fmt.Sprintln(tc.first, "…", tc.last, tc.bars, tc.wantTicks, tc.narrow); got != want {
				t.Errorf("got %swant %s", got, want)
			}
			for i := range p.bars {
				if day := p.start.AddDate(0, 0, i*p.days); p.bar(day) != i || p.bar(day.AddDate(0, 0, p.days).Add(-time.Second)) != i {
					t.Errorf("bar %d does not hold its days", i)
				}
			}
			if tc.since != nil {
				want := tc.since.Format("2 Jan 2006") + " to 1 Mar 2026"
				if got := NewRejections(nil, Filter{Since: tc.since}, now).page().Period; got != want {
					t.Errorf("the page is about %s, want %s", got, want)
				}
			}
			if p.bar(now.AddDate(0, 0, 3)) != p.bars-1 || p.bar(p.start.AddDate(-1, 0, 0)) != 0 {
				t.Error("what lies outside is not in the bar beside it")
			}
		})
	}
}

func TestStack(t *testing.T) {
	t.Parallel()
	rejections := []Rejection{tried("2026-02-27", "a", "b"), tried("2026-02-27", "b"), tried("2026-03-01", "b"), tried("2026-03-01", "b"), tried("2026-03-01", "b")}
	since := time.Date(2026, 2, 26, 0, 0, 0, 0, time.UTC)
	p := newPeriod(rejections, &since, now)
	got := stack(countBy(rejections, p, func(r *Rejection) []string { return r.Rules }), p)
	want := stacked{
		Width: "6.00%",
		Bars: []bar{
			{X: "34.50%", Title: "27 Feb 2026:\n2 b\n1 a", Parts: []rect{{Y: "53.3", Height: "106.7", Series: 0}, {Y: "0.0", Height: "53.3", Series: 1}}},
			{X: "84.50%", Title: "1 Mar 2026:\n3 b", Parts: []rect{{Y: "0.0", Height: "160.0", Series: 0}}},
		},
		Times:  []tick{{"87.50%", "1 Mar", true}, {"62.50%", "28 Feb", false}, {"37.50%", "27 Feb", true}, {"12.50%", "26 Feb", false}},
		Levels: []tick{{At: "160.0", Text: "0"}, {At: "106.7", Text: "1"}, {At: "53.3", Text: "2"}, {At: "0.0", Text: "3"}},
		Numbers: []number{
			{"1 Mar 2026", "b", 3}, {"27 Feb 2026", "a", 1}, {"27 Feb 2026", "b", 2},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStackOfNothing(t *testing.T) {
	t.Parallel()
	p := newPeriod(nil, nil, now)
	got := stack(nil, p).Levels
	if diff := cmp.Diff([]tick{{At: "160.0", Text: "0"}, {At: "0.0", Text: "1"}}, got); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	counts := []*count{{"a", 5, 9, []int{5, 0}}, {"b", 3, 4, []int{1, 2}}, {"c", 2, 3, []int{0, 2}}}
	want := []*count{{"a", 5, 9, []int{5, 0}}, {"2 more rules", 5, 7, []int{1, 4}}}
	if diff := cmp.Diff(want, fold(counts, 1, "rules"), cmp.AllowUnexported(count{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := fold(counts, 2, "rules"); len(got) != 3 || got[2].Name != "c" {
		t.Errorf("one more has become %q, want itself: it needs no more room", got[len(got)-1].Name)
	}
}

func TestNiceStep(t *testing.T) {
	t.Parallel()
	for highest, want := range map[int]int{0: 1, 1: 1, 5: 1, 6: 2, 10: 2, 11: 5, 25: 5, 26: 10, 1000: 200, 1001: 500} {
		if got := niceStep(highest); got != want {
			t.Errorf("%d: got steps of %d, want %d", highest, got, want)
		}
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"":                           {""},
		"jane":                       {"jane"},
		"system:node:a-b":            {"system:", "node:", "a-b"},
		"image.no_version":           {"image.", "no_", "version"},
		"jane@example.com":           {"jane@", "example.", "com"},
		"Deployment web/größe\u3002": {"Deployment web/", "größe\u3002"},
		":a:":                        {":", "a:"},
	} {
		if diff := cmp.Diff(want, pieces(name)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(number); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestPageRunsNoScript holds that a browser would apply the page's style and nothing else.
func TestPageRunsNoScript(t *testing.T) {
	t.Parallel()
	records, err := recorded(t).Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := NewRejections(records, Filter{}, now).WritePage(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	want := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]+)">`).FindStringSubmatch(page)
	if len(policy) != 2 || html.UnescapeString(policy[1]) != want {
		t.Errorf("the policy is %q, want %q", policy, want)
	}
	for _, never := range []string{"<script", "<img", "onerror=\"", "href=\"http", "src=", "url(http", "@import", "\x1b", "\u202e"} {
		if strings.Contains(strings.ReplaceAll(page, "src=x onerror=alert(1)&gt;", ""), never) {
			t.Errorf("the page contains %q", never)
		}
	}
	for i := range records {
		if strings.Count(page, `id="r-`+records[i].Name+`"`) != 1 || strings.Count(page, `href="#r-`+records[i].Name+`"`) != 1 {
			t.Errorf("%s has not one dossier and one link to it", records[i].Name)
		}
	}
}

func TestHeadings(t *testing.T) {
	t.Parallel()
	some := func(outcomes ...auditv1alpha1.Outcome) (records []auditv1alpha1.Rejection) {
		for _, outcome := range outcomes {
			records = append(records, auditv1alpha1.Rejection{Outcome: outcome})
		}
		return records
	}
	const denied, observed, bypassed = auditv1alpha1.OutcomeDenied, auditv1alpha1.OutcomeObserved, auditv1alpha1.OutcomeBypassed
	for name, tc := range map[string]struct {
		records []auditv1alpha1.Rejection
		filter  Filter
		title   string
		lead    string
	}{
		"what is denied is asked for":   {nil, Filter{Outcome: denied}, "What was refused", "Requests that Plainspec refused, with the reason, the place and the fix."},
		"what is observed is asked for": {nil, Filter{Outcome: observed}, "What would be refused", "Requests that were admitted, and would be refused under enforcement: enforce."},
		"what is bypassed is asked for": {nil, Filter{Outcome: bypassed}, "What bypassed the rules", "Requests that were admitted because the user belongs to a break-glass group."},
		"nothing is there":              {nil, Filter{}, "What was refused, or would be", "Requests that Plainspec refused, would refuse under enforcement: enforce, or let pass for a break-glass group."},
		"refusals alone are there":      {some(denied, denied), Filter{}, "What was refused", "2 were refused (denied)."},
		"nothing was refused so far":    {some(observed), Filter{}, "What would be refused", "1 was admitted, and would be refused under enforcement: enforce (observed)."},
		"some of each are there": {
			some(denied, observed, observed, bypassed), Filter{}, "What was refused, or would be",
			"1 was refused (denied). 2 were admitted, and would be refused under enforcement: enforce (observed). 1 was admitted because the user belongs to a break-glass group (bypassed).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			title, lead := NewRejections(tc.records, tc.filter, now).headings()
			if title != tc.title || lead != tc.lead {
				t.Errorf("got %q: %q, want %q: %q", title, lead, tc.title, tc.lead)
			}
		})
	}
}

// written returns the page of records as text.
func written(t *testing.T, records []auditv1alpha1.Rejection, f Filter) string {
	t.Helper()
	var b bytes.Buffer
	if err := NewRejections(records, f, now).WritePage(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	const footer = "Of rejections, 100 of one namespace and 10,000 of all are kept, for 30 days after the last try"
	full := append(kept("shop", 100), kept("web", 2)...)
	for name, tc := range map[string]struct {
		records []auditv1alpha1.Rejection
		filter  Filter
		want    []string
		never   []string
	}{
		"all are there":           {kept("web", 2), Filter{}, []string{footer}, []string{"May be missing", `<span class="badge full">`}},
		"a namespace is full":     {full, Filter{}, []string{footer, "<dt>May be missing</dt><dd><bdi>shop before 2026-02-25 08:00 UTC</bdi>", `<bdi>shop</bdi> <span class="badge full">full</span>`}, []string{`<bdi>web</bdi> <span class="badge full">`}},
		"nothing of it is there":  {full, Filter{User: "joe"}, []string{"<dt>May be missing</dt><dd><bdi>shop before 2026-02-25 08:00 UTC</bdi>", "102 other rejections are recorded."}, nil},
		"a full one has the most": {append(many(30, 2), kept("zoo", 100)...), Filter{Rules: []string{"image.no_version"}}, []string{`<bdi>zoo</bdi> <span class="badge full">full</span>`}, nil},
		"full ones are folded":    {many(30, 100), Filter{}, []string{`<bdi>18 more namespaces</bdi> <span class="badge full">18 full</span>`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := written(t, tc.records, tc.filter)
			for _, want := range tc.want {
				if !strings.Contains(page, want) {
					t.Errorf("the page does not say %q", want)
				}
			}
			for _, never := range tc.never {
				if strings.Contains(page, never) {
					t.Errorf("the page says %q", never)
				}
			}
		})
	}
}

// TestFoldedNamespacesHaveNoBars holds that what many namespaces have together makes nobody's bars small.
func TestFoldedNamespacesHaveNoBars(t *testing.T) {
	t.Parallel()
	p := NewRejections(many(49, 2), Filter{}, now).page()
	if len(p.Spaces) != 13 {
		t.Fatalf("%d rows, want 13", len(p.Spaces))
	}
	for i, space := range p.Spaces[:12] {
		if len(space.Spark) != 1 || space.Spark[0].Parts[0].Height != "28.0" {
			t.Errorf("row %d has bars %v, want one as high as can be", i, space.Spark)
		}
	}
	last := p.Spaces[12]
	if last.Name != "37 more namespaces" || last.Total != 74 || last.Spark != nil {
		t.Errorf("the last row is %+v with bars %v, want what 37 namespaces have, and no bars", last.count, last.Spark)
	}
}
