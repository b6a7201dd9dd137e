package page

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"plainspec.dev/plainspec/internal/report"
)

//go:embed testdata/look.js
var look string

// screen is what the page is looked at on.
type screen struct {
	name          string
	width, height int64
	scale         float64
	scheme        string // light or dark
	phone         bool
}

var screens = []screen{
	{"phone-light", 360, 740, 2, "light", true},
	{"phone-dark", 360, 740, 2, "dark", true},
	{"desktop-light", 1440, 900, 1, "light", false},
	{"desktop-dark", 1440, 900, 1, "dark", false},
}

// tab is where a test looks at a page.
type tab struct {
	*testing.T

	ctx context.Context
}

// open opens a page in a tab of its own. At the end of the test, nothing may have been written to the console.
func open(t *testing.T, path string, s screen) *tab {
	t.Helper()
	if browser == nil {
		t.Skip("no Chromium on this machine")
	}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(s.scale)}
	if s.phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	messages := chromedp.Console(ctx)
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(s.width, s.height, options...), chromedp.Navigate("file://"+path)); err != nil {
		t.Fatal(err)
	}
	shown := &tab{T: t, ctx: ctx}
	t.Cleanup(func() {
		const last = "that was all"
		evaluate[bool](shown, `console.info("`+last+`"), true`)
		for m, err := range messages {
			if err != nil {
				t.Errorf("read the console: %v", err)
			}
			if m.Text == last || err != nil {
				return
			}
			t.Errorf("on the console: %s", m)
		}
	})
	return shown
}

func evaluate[T any](t *tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(t.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return value
}

// inspect reports what is wrong with the page as it is shown.
func (t *tab) inspect(what string) {
	t.Helper()
	seen := evaluate[struct {
		Texts int      `json:"texts"`
		Found []string `json:"found"`
	}](t, look)
	if seen.Texts == 0 {
		t.Errorf("%s: no text was looked at", what)
	}
	for i, found := range seen.Found {
		if i == 10 {
			t.Errorf("%s: and %d more", what, len(seen.Found)-i)
			break
		}
		t.Errorf("%s: %s", what, found)
	}
}

// photograph writes what is shown to bin/screenshots, for people to look at.
func (t *tab) photograph(name string, whole bool) {
	t.Helper()
	action := chromedp.CaptureScreenshot()
	if whole {
		action = chromedp.FullScreenshot(100)
	}
	picture, err := chromedp.Run(t.ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "bin", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// openAll opens whatever can be opened.
const openAll = `document.querySelectorAll("details").forEach((d) => { d.open = true; }), document.querySelectorAll("details").length`

// follow follows the first link of the list, and returns whether its dossier is open and its head in view.
const follow = `(async () => {
	const link = document.querySelector(".list a");
	const moved = new Promise((done) => addEventListener("hashchange", done, {once: true}));
	link.click();
	await moved;
	await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
	const dossier = document.getElementById(link.hash.slice(1)).closest("details");
	const box = dossier.getBoundingClientRect();
	return dossier.open && box.top >= 0 && box.top < innerHeight / 2;
})()`

func TestPage(t *testing.T) {
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			path, rejections := write(t, many(150), report.Filter{Outcome: "Denied"})
			page := open(t, path, s)
			page.photograph("page-"+s.name, false)
			page.inspect("closed")

			var ids []string
			for i := range rejections.Rejections {
				ids = append(ids, `"`+rejections.Rejections[i].ID+`"`)
			}
			missing := evaluate[[]string](page, fmt.Sprintf(
				`[%s].filter((id) => !document.getElementById("r-"+id) || !document.querySelector('.list a[href="#r-'+id+'"]'))`, strings.Join(ids, ",")))
			if len(ids) != 150 || len(missing) > 0 {
				t.Errorf("%d rejections, of which the page lacks %v", len(ids), missing)
			}

			for _, part := range []string{"by-namespace", "rejections"} {
				evaluate[bool](page, `document.getElementById("`+part+`").scrollIntoView(), true`)
				page.photograph(part+"-"+s.name, false)
			}
			if !evaluate[bool](page, follow) {
				t.Error("a link of the list does not open its dossier and show its head")
			}
			page.photograph("dossier-"+s.name, false)
			if opened := evaluate[int](page, openAll); opened != 151 {
				t.Errorf("%d parts can be opened, want 150 dossiers and the chart's numbers", opened)
			}
			page.inspect("opened")
		})
	}
}

func TestNothingAUserChoseIsMarkup(t *testing.T) {
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			path, _ := write(t, told(t), report.Filter{})
			page := open(t, path, s)
			evaluate[int](page, openAll)
			page.inspect("opened")
			page.photograph("told-"+s.name+"-whole", true)
			if got := evaluate[int](page, `document.querySelectorAll("script, img, iframe, object, embed, form, [onerror], [style], body style, a:not([href^='#'])").length`); got != 0 {
				t.Errorf("the page has %d elements that it must not have", got)
			}
			text := evaluate[string](page, `document.body.textContent`)
			for _, want := range []string{
				"Deployment web/<img src=x onerror=alert(1)>", `=HYPERLINK("https://example.com")\x1b[31m\u202egnp`, `</style><script>alert(1)</script>\nforged: line`,
				"javascript:alert(1)", `"'><b>`, `\u009b31m`,
			} {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q", want)
				}
			}
		})
	}
}

func TestNothing(t *testing.T) {
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			path, _ := write(t, nil, report.Filter{Outcome: "Denied", Namespace: "shop"})
			page := open(t, path, s)
			page.inspect("nothing")
			page.photograph("nothing-"+s.name, false)
			if text := evaluate[string](page, `document.querySelector("main").innerText`); !strings.HasPrefix(strings.TrimSpace(text), "No rejections match\n") {
				t.Errorf("the page says %q", text)
			}
		})
	}
}

// TestLong holds that numbers and names of any length stay in their place, and whole.
func TestLong(t *testing.T) {
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			tries, sum := slices.Repeat([]int64{987_654_321}, 50), "49,382,721,000\n"
			if s.scheme == "dark" {
				tries, sum = []int64{2_060_934, 903_017}, "2,968,949\n"
			}
			path, _ := write(t, large(tries...), report.Filter{})
			page := open(t, path, s)
			page.inspect("closed")
			page.photograph("long-"+s.name, false)
			for _, part := range []string{"by-namespace", "rejections"} {
				evaluate[bool](page, `document.getElementById("`+part+`").scrollIntoView(), true`)
				page.photograph("long-"+part+"-"+s.name, false)
			}
			if got := evaluate[string](page, `document.querySelector(".tile:nth-child(2)").innerText`); !strings.HasPrefix(got, sum) {
				t.Errorf("the tile says %q, want %q", got, sum)
			}
			if got := evaluate[int](page, `[...document.querySelectorAll(".spaces tbody tr")].filter((r) => r.querySelector(".full")).length`); got != 13 {
				t.Errorf("%d rows are marked as full, want 13", got)
			}
			if got := evaluate[bool](page, `document.querySelector(".spaces tbody tr:last-child svg") === null`); !got {
				t.Error("what 38 namespaces have together has bars")
			}
		})
	}
}

// TestThousands holds that a page of more rejections than it lists says so, counts all, and still opens.
func TestThousands(t *testing.T) {
	s := screens[0]
	path, _ := write(t, many(5000), report.Filter{})
	page := open(t, path, s)
	text := evaluate[string](page, `document.querySelector("main").innerText`)
	for _, want := range []string{"5,000", "These are the latest 1,000; 4,000 more are counted above"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if got := evaluate[int](page, `document.querySelectorAll(".list tbody tr").length`); got != 1000 {
		t.Errorf("%d rows, want 1000", got)
	}
	if got := evaluate[bool](page, `document.documentElement.scrollWidth <= innerWidth`); !got {
		t.Error("the page is wider than the screen")
	}
}

// TestPrint holds that paper, which nobody can click, shows each dossier.
func TestPrint(t *testing.T) {
	path, _ := write(t, told(t), report.Filter{})
	page := open(t, path, screens[2])
	if _, err := chromedp.Call(page.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}); err != nil {
		t.Fatal(err)
	}
	if got := evaluate[int](page, `[...document.querySelectorAll(".dossier")].filter((e) => e.getBoundingClientRect().height > 200).length`); got != 4 {
		t.Errorf("paper shows %d dossiers of 4", got)
	}
	page.photograph("told-print-whole", true)
}
