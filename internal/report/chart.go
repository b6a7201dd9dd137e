package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// The charts are bars in SVG, drawn by the page's template: with widths in percent and heights in pixels they fit any
// screen with text in its own size, patterns and colors follow the page's, and no script runs. Libraries for charts in Go
// write pictures of one size or script.
const (
	// plotHeight and sparkHeight are how high bars can be, in pixels.
	plotHeight, sparkHeight = 160, 28
	// mostBars is how many bars a telephone's width can tell apart.
	mostBars = 62
	// mostSeries is how many rules have a pattern and color of their own, mostRows how many namespaces a row.
	mostSeries, mostRows = 6, 12
	// widestBar keeps two days from looking like walls, in percent of the width.
	widestBar = 6
	// quietDays is how many days are shown at least if nobody said since when.
	quietDays = 14
)

// period is what charts show: bars of so many days (UTC) each, the last of which ends today. The first bar starts then or
// earlier, so that it is as long as the others; nothing before first is in it.
type period struct {
	first, start time.Time
	days         int
	bars         int
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// daysFrom is how many days lie between two days; a time.Duration ends after 292 years.
func daysFrom(day, later time.Time) int { return int((later.Unix() - day.Unix()) / (24 * 60 * 60)) }

// newPeriod returns the period since a time or, if that is nil, since the first rejection.
func newPeriod(rejections []Rejection, since *time.Time, now time.Time) period {
	last := dayOf(now)
	first := last.AddDate(0, 0, 1-quietDays)
	if since != nil {
		first = dayOf(*since)
	} else {
		for i := range rejections {
			if day := dayOf(rejections[i].LastTime); day.Before(first) {
				first = day
			}
		}
	}
	shown := daysFrom(first, last) + 1
	days := (shown + mostBars - 1) / mostBars
	if days > 1 && days <= 7 {
		days = 7 // weeks are easier to think of
	}
	bars := (shown + days - 1) / days
	return period{first: first, start: last.AddDate(0, 0, 1-bars*days), days: days, bars: bars}
}

// bar returns which bar a time belongs to. Clocks differ: what is later than today is of today.
func (p period) bar(t time.Time) int {
	return min(max(0, daysFrom(p.start, dayOf(t))/p.days), p.bars-1)
}

// name is the day, or the first and the last day, of a bar.
func (p period) name(bar int) string {
	from, to := p.start.AddDate(0, 0, bar*p.days), p.start.AddDate(0, 0, (bar+1)*p.days-1)
	if from.Before(p.first) {
		from = p.first
	}
	if from.Equal(to) {
		return from.Format("2 Jan 2006")
	}
	return from.Format("2 Jan 2006") + " to " + to.Format("2 Jan 2006")
}

// width, center and x place a bar, in percent of the chart's width.
func (p period) width() float64 { return min(72/float64(p.bars), widestBar) }

func (p period) center(bar int) float64 { return (float64(bar) + 0.5) * 100 / float64(p.bars) }

func (p period) x(bar int) string { return percent(p.center(bar) - p.width()/2) }

func percent(value float64) string { return strconv.FormatFloat(value, 'f', 2, 64) + "%" }

func pixels(value float64) string { return strconv.FormatFloat(value, 'f', 1, 64) }

// count is how many rejections something has, in all and in each bar, and how often they were tried.
type count struct {
	Name   string
	Total  int
	Tries  int64
	series []int
}

// countBy counts rejections by what names gives each, the most frequent first.
func countBy(rejections []Rejection, p period, names func(*Rejection) []string) []*count {
	counts := make(map[string]*count)
	for i := range rejections {
		r := &rejections[i]
		for _, name := range names(r) {
			c := counts[name]
			if c == nil {
				c = &count{Name: name, series: make([]int, p.bars)}
				counts[name] = c
			}
			c.Total++
			c.Tries += r.Count
			c.series[p.bar(r.LastTime)]++
		}
	}
	return slices.SortedFunc(maps.Values(counts), func(a, b *count) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
}

// fold joins the counts from a number on to one, whose name says how many they are; noun is plural.
func fold(counts []*count, most int, noun string) []*count {
	if len(counts) <= most+1 {
		return counts
	}
	rest := &count{Name: fmt.Sprintf("%d more %s", len(counts)-most, noun), series: make([]int, len(counts[0].series))}
	for _, c := range counts[most:] {
		rest.Total += c.Total
		rest.Tries += c.Tries
		for i, n := range c.series {
			rest.series[i] += n
		}
	}
	return append(slices.Clone(counts[:most]), rest)
}

// rect is a part of a bar; Series says which pattern fills it.
type rect struct {
	Y, Height string
	Series    int
}

// bar is one bar with its parts from the bottom up; Title says what it counts.
type bar struct {
	X, Title string
	Parts    []rect
}

// tick is a label of an axis. One of time that Narrow leaves out is shown on wide screens only.
type tick struct {
	At, Text string
	Narrow   bool
}

// stacked is a chart of counts over time, one upon the other.
type stacked struct {
	Width         string // of a bar
	Bars          []bar
	Times, Levels []tick
	Numbers       []number
}

// number is a cell of the chart as a table.
type number struct {
	When, Name string
	Count      int
}

// stack draws counts.
func stack(counts []*count, p period) stacked {
	s := stacked{Width: percent(p.width())}
	highest := 0
	for i := range p.bars {
		sum := 0
		for _, c := range counts {
			sum += c.series[i]
		}
		highest = max(highest, sum)
	}
	step := niceStep(highest)
	top := max(step, (highest+step-1)/step*step)
	for level := 0; level <= top; level += step {
		s.Levels = append(s.Levels, tick{At: pixels(plotHeight * float64(top-level) / float64(top)), Text: strconv.Itoa(level)})
	}
	for i := range p.bars {
		b := bar{X: p.x(i), Title: p.name(i) + ":"}
		sum := 0
		for series, c := range counts {
			n := c.series[i]
			if n == 0 {
				continue
			}
			sum += n
			b.Parts = append(b.Parts, rect{Y: pixels(plotHeight * float64(top-sum) / float64(top)), Height: pixels(plotHeight * float64(n) / float64(top)), Series: series})
			b.Title += fmt.Sprintf("\n%d %s", n, c.Name)
			s.Numbers = append(s.Numbers, number{When: p.name(i), Name: c.Name, Count: n})
		}
		if len(b.Parts) > 0 {
			s.Bars = append(s.Bars, b)
		}
	}
	slices.Reverse(s.Numbers) // the latest first, as everywhere
	s.Times = p.ticks()
	return s
}

// ticks are the dates below a chart, from today backwards: seven, and four of them on narrow screens.
func (p period) ticks() []tick {
	every := (p.bars + 6) / 7
	var ticks []tick
	for n, i := 0, p.bars-1; i >= 0; n, i = n+1, i-every {
		ticks = append(ticks, tick{At: percent(p.center(i)), Text: p.start.AddDate(0, 0, i*p.days).Format("2 Jan"), Narrow: n%2 == 0})
	}
	return ticks
}

// niceStep is 1, 2 or 5 times a power of ten, so that at most five steps reach a number.
func niceStep(highest int) int {
	for power := 1; ; power *= 10 {
		for _, step := range []int{power, 2 * power, 5 * power} {
			if step*5 >= highest {
				return step
			}
		}
	}
}

// spark draws a row's bars; all rows of a table share highest.
func (c *count) spark(p period, highest int) []bar {
	var bars []bar
	for i, n := range c.series {
		if n == 0 {
			continue
		}
		height := max(2, sparkHeight*float64(n)/float64(highest))
		bars = append(bars, bar{
			X: p.x(i), Title: fmt.Sprintf("%s: %d", p.name(i), n),
			Parts: []rect{{Y: pixels(sparkHeight - height), Height: pixels(height)}},
		})
	}
	return bars
}
