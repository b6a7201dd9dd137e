package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/audit"
)

// fake is a sink in memory.
type fake struct {
	name string

	mu      sync.Mutex
	fails   func(record *auditv1alpha1.Rejection) error
	written []auditv1alpha1.Rejection
	at      []time.Time
	tries   int
}

func (f *fake) Name() string { return f.name }

func (f *fake) Write(ctx context.Context, record *auditv1alpha1.Rejection) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	if f.fails != nil {
		if err := f.fails(record); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f.written, f.at = append(f.written, *record), append(f.at, time.Now())
	return nil
}

// become makes the sink fail, or work if err is nil.
func (f *fake) become(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = func(*auditv1alpha1.Rejection) error { return err }
}

// told is what the sink was told, in order: each record's name and count.
func (f *fake) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var told []string
	for i := range f.written {
		told = append(told, fmt.Sprintf("%s×%d", f.written[i].Name, f.written[i].Count))
	}
	return told
}

// counts sums what the sink was told by name.
func (f *fake) counts() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[string]int64{}
	for i := range f.written {
		counts[f.written[i].Name] += f.written[i].Count
	}
	return counts
}

// rejection is a record of one try, now, in a namespace.
func rejection(namespace, name string) *auditv1alpha1.Rejection {
	now := metav1.NewTime(time.Now())
	return &auditv1alpha1.Rejection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{auditv1alpha1.NamespaceLabel: namespace}},
		Outcome:    auditv1alpha1.OutcomeDenied, Operation: "CREATE", User: "alice",
		Root:  auditv1alpha1.Root{Group: "apps", Kind: "Deployment", Namespace: namespace, Name: "web", Text: "Deployment " + namespace + "/web"},
		Rules: []string{"image.no_version"}, Count: 1, FirstTime: now, LastTime: now, PolicyRevision: "0123456789ab",
		Findings: []auditv1alpha1.Finding{{Code: "image.no_version", Severity: "high", Container: "web", Field: "spec.template.spec.containers[0].image", Value: "nginx", Message: "says no version", Fix: "name a tag"}},
	}
}

// recorder is a Recorder that runs until end is called.
type recorder struct {
	*audit.Recorder
	registry *prometheus.Registry
	log      *syncLog
	end      func()
}

// syncLog is written by many and read by the test.
type syncLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *syncLog) add(_, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(args + "\n")
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// run starts a Recorder. Within synctest.Test, its time is the test's.
func run(t *testing.T, o audit.Options) *recorder {
	t.Helper()
	r := &recorder{registry: prometheus.NewRegistry(), log: &syncLog{}}
	o.Registerer = r.registry
	o.Logger = funcr.New(r.log.add, funcr.Options{})
	var err error
	if r.Recorder, err = audit.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return r.Run(ctx) })
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.end)
	return r
}

// metric is the sum of a metric's series whose labels have these values.
func (r *recorder) metric(t *testing.T, name string, values ...string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			has := map[string]bool{}
			for _, label := range m.GetLabel() {
				has[label.GetValue()] = true
			}
			all := true
			for _, value := range values {
				all = all && has[value]
			}
			if all {
				found = true
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	if !found {
		t.Fatalf("no metric %s with %v", name, values)
	}
	return sum
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestANewRecordIsWrittenSoonAndItsCountOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		after(time.Millisecond) // the first round is over
		start := time.Now()
		for range 3 {
			r.Record(rejection("shop", "a"))
			time.Sleep(10 * time.Millisecond)
		}
		after(2 * time.Second)
		if diff := cmp.Diff([]string{"a×3"}, sink.told()); diff != "" {
			t.Fatalf("after two seconds (-want +got):\n%s", diff)
		}
		for range 50 {
			r.Record(rejection("shop", "a"))
			after(time.Second)
		}
		if diff := cmp.Diff([]string{"a×3"}, sink.told()); diff != "" {
			t.Errorf("within the minute (-want +got):\n%s", diff)
		}
		last := time.Now().Add(-time.Second)
		after(30 * time.Second)
		if diff := cmp.Diff([]string{"a×3", "a×50"}, sink.told()); diff != "" {
			t.Errorf("after the minute (-want +got):\n%s", diff)
		}
		first, second := &sink.written[0], &sink.written[1]
		if !first.FirstTime.Time.Equal(start) || !first.LastTime.Time.Equal(start.Add(20*time.Millisecond)) {
			t.Errorf("the first write spans %s to %s", first.FirstTime, first.LastTime)
		}
		if !second.FirstTime.After(first.LastTime.Time) || !second.LastTime.Time.Equal(last) {
			t.Errorf("the second write spans %s to %s", second.FirstTime, second.LastTime)
		}
		after(5 * time.Minute)
		if got := len(sink.told()); got != 2 {
			t.Errorf("%d writes when nothing was tried any more, want 2", got)
		}
		// What rested is forgotten: the next try is new again.
		r.Record(rejection("shop", "a"))
		after(2 * time.Second)
		if diff := cmp.Diff([]string{"a×3", "a×50", "a×1"}, sink.told()); diff != "" {
			t.Errorf("after a pause (-want +got):\n%s", diff)
		}
		if got := r.metric(t, "plainspec_rejections_recorded_total", "Denied"); got != 54 {
			t.Errorf("recorded %v tries, want 54", got)
		}
	})
}

func TestASinkThatFailsKeepsItsRecordsAndHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		healthy, failing := &fake{name: "log"}, &fake{name: "rejections"}
		failing.become(errors.New("connection refused"))
		r := run(t, audit.Options{Sinks: []audit.Sink{healthy, failing}})
		for i := range 60 {
			r.Record(rejection("shop", "a"))
			r.Record(rejection("shop", fmt.Sprintf("b%02d", i)))
			after(time.Minute)
		}
		if got := len(healthy.counts()); got != 61 {
			t.Errorf("the healthy sink has %d records, want 61", got)
		}
		if got, want := r.metric(t, "plainspec_rejections_pending", "rejections"), 61.0; got != want {
			t.Errorf("%v records wait for the failing sink, want %v", got, want)
		}
		if got := r.metric(t, "plainspec_rejections_last_write_timestamp_seconds", "rejections"); got != 0 {
			t.Errorf("last write of the failing sink at %v, want never", got)
		}
		// A try every half minute or so, jitter included, and some more at the start.
		if tries := failing.tries; tries < 3600/45 || tries > 3600/30+10 {
			t.Errorf("the failing sink was tried %d times within an hour", tries)
		}
		if got := r.metric(t, "plainspec_rejections_write_errors_total", "rejections"); got != float64(failing.tries) {
			t.Errorf("%v errors counted of %d", got, failing.tries)
		}
		failing.become(nil)
		after(time.Minute)
		if diff := cmp.Diff(healthy.counts(), failing.counts()); diff != "" {
			t.Errorf("the sink that recovered has other records (-healthy +recovered):\n%s", diff)
		}
		if got := r.metric(t, "plainspec_rejections_dropped_total"); got != 0 {
			t.Errorf("%v tries dropped", got)
		}
		r.end()
		want := `"msg"="records cannot be written, those that fit the bounds wait" "error"="connection refused" "sink"="rejections" "pending"=2
"level"=0 "msg"="records are written again" "sink"="rejections"
`
		if diff := cmp.Diff(want, r.log.String()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestARecordThatCannotBeWrittenHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log", fails: func(record *auditv1alpha1.Rejection) error {
			if record.Name == "poison" {
				return errors.New("timeout")
			}
			return nil
		}}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		r.Record(rejection("shop", "poison"))
		for i := range 5 {
			r.Record(rejection("shop", fmt.Sprint("shop", i)))
			r.Record(rejection("bank", fmt.Sprint("bank", i)))
		}
		after(5 * time.Second)
		if got := len(sink.counts()); got != 10 {
			t.Errorf("%d records written beside the one that fails, want 10", got)
		}
		after(10 * time.Minute)
		r.Record(rejection("shop", "late"))
		after(2 * time.Minute) // behind one try of the poison, and the pause after it
		if sink.counts()["late"] != 1 {
			t.Error("a later record is not written")
		}
		sink.become(nil)
		after(time.Minute)
		if sink.counts()["poison"] != 1 {
			t.Error("the record is lost")
		}
	})
}

func TestARetryHasTheTimesOfAllItsTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var r *recorder
		// While the first write fails, another try comes.
		sink := &fake{name: "log"}
		sink.fails = func(*auditv1alpha1.Rejection) error {
			if sink.tries > 1 {
				return nil
			}
			time.Sleep(500 * time.Millisecond)
			r.Record(rejection("shop", "a"))
			return errors.New("connection reset")
		}
		r = run(t, audit.Options{Sinks: []audit.Sink{sink}})
		r.Record(rejection("shop", "a"))
		after(time.Minute)
		if len(sink.written) != 1 {
			t.Fatalf("the sink was told %q, want one record", sink.told())
		}
		got := &sink.written[0]
		if got.Count != 2 || !got.FirstTime.Time.Equal(begin) || !got.LastTime.After(begin) {
			t.Errorf("%d tries from %s to %s, want 2 from %s to later", got.Count, got.FirstTime, got.LastTime, begin)
		}
	})
}

func TestARefusedRecordIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log", fails: func(record *auditv1alpha1.Rejection) error {
			if record.Name == "bad" {
				return fmt.Errorf("count: %w", audit.ErrRefused)
			}
			return nil
		}}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		for range 30 {
			r.Record(rejection("shop", "bad"))
			after(time.Second)
		}
		r.Record(rejection("shop", "good"))
		after(2 * time.Minute)
		if sink.tries != 3 {
			t.Errorf("the sink was asked %d times, want once for the good record and once a minute for the bad one", sink.tries)
		}
		if got := r.metric(t, "plainspec_rejections_dropped_total", "refused"); got != 30 {
			t.Errorf("%v tries dropped as refused, want 30", got)
		}
		if !strings.Contains(r.log.String(), "count: the record is refused") {
			t.Errorf("log does not say why:\n%s", r.log)
		}
	})
}

func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		after(time.Millisecond) // the first round is over
		for i := range 3 {
			r.Record(rejection("flood", fmt.Sprint("flood", i)))
		}
		r.Record(rejection("shop", "shop"))
		r.Record(rejection("bank", "bank"))
		after(time.Second)
		want := []string{"flood0×1", "shop×1", "bank×1", "flood1×1", "flood2×1"}
		if diff := cmp.Diff(want, sink.told()); diff != "" {
			t.Errorf("order of writes (-want +got):\n%s", diff)
		}
	})
}

func TestBoundsKeepTenantsApart(t *testing.T) {
	t.Parallel()
	const shop, bank, flood = "shop", "bank", "flood"
	large := func(namespace, name string) *auditv1alpha1.Rejection {
		r := rejection(namespace, name)
		r.Manifest.Containers = []auditv1alpha1.Container{{Args: []string{strings.Repeat("x", 1<<20)}}}
		return r
	}
	type group struct {
		namespace, prefix string
		records           int
		size              func(namespace, name string) *auditv1alpha1.Rejection
	}
	tests := map[string]struct {
		options     audit.Options
		groups      []group
		want        map[string]int // records by prefix
		wantDropped map[string]float64
	}{
		"a namespace that is full keeps what came first": {
			groups:      []group{{shop, "shop", 1, rejection}, {flood, "first", 100, rejection}, {flood, "late", 20, rejection}, {bank, "bank", 100, rejection}},
			want:        map[string]int{"shop": 1, "first": 100, "bank": 100},
			wantDropped: map[string]float64{"namespace_full": 20},
		},
		"when all is full, the namespace that holds most gives way": {
			options:     audit.Options{Total: 120},
			groups:      []group{{flood, "first", 80, rejection}, {flood, "late", 20, rejection}, {shop, "shop", 20, rejection}, {bank, "bank", 15, rejection}},
			want:        map[string]int{"first": 80, "late": 5, "shop": 20, "bank": 15},
			wantDropped: map[string]float64{"full": 15},
		},
		"who holds most does not take from those who hold less": {
			options:     audit.Options{Total: 120},
			groups:      []group{{shop, "shop", 30, rejection}, {bank, "bank", 30, rejection}, {flood, "flood", 90, rejection}},
			want:        map[string]int{"shop": 30, "bank": 30, "flood": 60},
			wantDropped: map[string]float64{"full": 30},
		},
		"by default all hold 10,000 together": {
			options:     audit.Options{PerNamespace: 9_000},
			groups:      []group{{flood, "flood", 9_000, rejection}, {shop, "shop", 1_500, rejection}},
			want:        map[string]int{"flood": 8_500, "shop": 1_500},
			wantDropped: map[string]float64{"full": 500},
		},
		"large records give way first": {
			groups:      []group{{flood, "flood", 40, large}, {shop, "shop", 100, rejection}, {bank, "bank", 2, large}},
			want:        map[string]int{"flood": 29, "shop": 100, "bank": 2},
			wantDropped: map[string]float64{"memory": 11},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sink := &fake{name: "rejections"}
				sink.become(errors.New("connection refused"))
				tc.options.Sinks = []audit.Sink{sink}
				r := run(t, tc.options)
				after(time.Millisecond)
				records := 0
				for _, g := range tc.groups {
					for i := range g.records {
						r.Record(g.size(g.namespace, fmt.Sprintf("%s-%d", g.prefix, i)))
						records++
					}
				}
				dropped := 0.0
				for reason, want := range tc.wantDropped {
					if got := r.metric(t, "plainspec_rejections_dropped_total", "rejections", reason); got != want {
						t.Errorf("dropped as %s: %v, want %v", reason, got, want)
					}
					dropped += want
				}
				if got, want := r.metric(t, "plainspec_rejections_pending"), float64(records)-dropped; got != want {
					t.Errorf("%v records wait, want %v", got, want)
				}
				// A try of what waits is merged, however full it is.
				r.Record(tc.groups[0].size(tc.groups[0].namespace, tc.groups[0].prefix+"-0"))
				sink.become(nil)
				after(time.Minute)
				got := map[string]int{}
				for name, count := range sink.counts() {
					prefix, number, _ := strings.Cut(name, "-")
					got[prefix]++
					if again := prefix == tc.groups[0].prefix && number == "0"; again != (count == 2) {
						t.Errorf("%s has count %d", name, count)
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("records written (-want +got):\n%s", diff)
				}
				if got := r.metric(t, "plainspec_rejections_dropped_total"); got != dropped {
					t.Errorf("dropped in all: %v, want %v", got, dropped)
				}
			})
		})
	}
}

func TestWhatWasWrittenLatelyMakesRoomForWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}, PerNamespace: 10, Total: 20})
		for i := range 100 {
			r.Record(rejection([]string{"shop", "bank", "flood"}[i%3], fmt.Sprint("r", i)))
			after(200 * time.Millisecond)
		}
		after(time.Second)
		if got := len(sink.counts()); got != 100 {
			t.Errorf("%d records written, want 100", got)
		}
		if got := r.metric(t, "plainspec_rejections_dropped_total"); got != 0 {
			t.Errorf("%v tries dropped", got)
		}
	})
}

// TestARecountIsNoReasonToLoseWhatIsNew lets one namespace try 100 things again and again, more than the sink can write, and
// others seldom: what somebody wants to hide.
func TestARecountIsNoReasonToLoseWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "rejections", fails: func(*auditv1alpha1.Rejection) error {
			time.Sleep(time.Second / 10)
			return nil
		}}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}, Interval: 10 * time.Second})
		for second := range 600 {
			for i := range 100 {
				r.Record(rejection("shop", fmt.Sprint("noise", i)))
			}
			if second%60 == 30 {
				r.Record(rejection("shop", fmt.Sprint("once", second)))
			}
			if second%5 == 2 {
				r.Record(rejection("shop", "seldom"))
			}
			time.Sleep(time.Second)
		}
		r.end()
		for i, record := range sink.written {
			if waited := sink.at[i].Sub(record.FirstTime.Time); strings.HasPrefix(record.Name, "once") && waited > 3*time.Second {
				t.Errorf("%s was written after %s", record.Name, waited)
			}
		}
		want := map[string]int64{"seldom": 120}
		for i := range 100 {
			want[fmt.Sprint("noise", i)] = 600
		}
		for second := 30; second < 600; second += 60 {
			want[fmt.Sprint("once", second)] = 1
		}
		if diff := cmp.Diff(want, sink.counts()); diff != "" {
			t.Errorf("tries written (-want +got):\n%s", diff)
		}
		if got := r.metric(t, "plainspec_rejections_dropped_total"); got != 0 {
			t.Errorf("%v tries dropped", got)
		}
	})
}

// TestManyNamesAreWrittenOnceAMinute has more things in one namespace than it may have new records.
func TestManyNamesAreWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const names, minutes, tries = 110, 60, 6
		sink := &fake{name: "log"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		for range minutes * tries {
			for i := range names {
				r.Record(rejection("shop", fmt.Sprint("r", i)))
				after(10 * time.Second / names)
			}
		}
		r.end()
		if got := len(sink.told()); got > names*(minutes+1) {
			t.Errorf("%d writes of %d names in %d minutes", got, names, minutes)
		}
		for name, count := range sink.counts() {
			if count != minutes*tries {
				t.Errorf("%s has count %d, want %d", name, count, minutes*tries)
			}
		}
		if got := r.metric(t, "plainspec_rejections_dropped_total"); got != 0 {
			t.Errorf("%v tries dropped", got)
		}
	})
}

// TestWhatIsRememberedIsBounded holds that more names than that are written, and at the worst too often.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const remembered, more = 40_000, 100
		sink := &fake{name: "log"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}, PerNamespace: 2 * remembered, Total: 2 * remembered, Bytes: 1 << 30})
		for range 2 {
			for i := range remembered + more {
				r.Record(rejection("shop", fmt.Sprint("r", i)))
			}
			after(2 * time.Second)
		}
		if got, most := len(sink.told()), remembered+more+remembered/10; got <= remembered+more || got > most {
			t.Errorf("%d writes, want more than %d, and at most %d", got, remembered+more, most)
		}
		after(time.Minute)
		for name, count := range sink.counts() {
			if count != 2 {
				t.Errorf("%s has count %d, want 2", name, count)
			}
		}
	})
}

// TestWhatWasWrittenBeforeGivesWay holds which records are dropped when all is full: those that cost a count only.
func TestWhatWasWrittenBeforeGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "rejections"}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}, Total: 30})
		record := func(prefix string, n int) {
			for i := range n {
				r.Record(rejection("shop", fmt.Sprint(prefix, i)))
			}
		}
		record("old", 20)
		after(2 * time.Second)
		sink.become(errors.New("connection refused"))
		record("old", 20)
		record("new", 15)
		if got := r.metric(t, "plainspec_rejections_dropped_total", "full"); got != 5 {
			t.Errorf("%v tries dropped while recounts rest, want 5", got)
		}
		after(2 * time.Minute) // they are due
		record("newer", 10)
		record("newest", 10)
		if got := r.metric(t, "plainspec_rejections_dropped_total", "full"); got != 20+5 {
			t.Errorf("%v tries dropped in all, want 25", got)
		}
		sink.become(nil)
		after(time.Minute)
		got := map[string]int64{}
		for name, count := range sink.counts() {
			got[strings.TrimRight(name, "0123456789")] += count
		}
		want := map[string]int64{"old": 20, "new": 15, "newer": 10, "newest": 5}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tries written (-want +got):\n%s", diff)
		}
	})
}

func TestTheRestIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		recovers    time.Duration // after the end
		wantTook    time.Duration // at most
		wantWritten int64
		wantLog     string
	}{
		"at once if the sink works":                 {wantTook: 0, wantWritten: 4},
		"after a while if it recovers":              {recovers: 5 * time.Second, wantTook: 10 * time.Second, wantWritten: 4},
		"not if it recovers only after ten seconds": {recovers: time.Minute, wantTook: 10 * time.Second, wantWritten: 1, wantLog: `"msg"="records are lost: they could not be written before the end" "sink"="rejections" "tries"=3`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sink := &fake{name: "rejections"}
				r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
				r.Record(rejection("shop", "a"))
				after(2 * time.Second)
				r.Record(rejection("shop", "a")) // rests
				r.Record(rejection("shop", "b")) // is new
				r.Record(rejection("shop", "b"))
				if tc.recovers > 0 {
					sink.become(errors.New("connection refused"))
					time.AfterFunc(tc.recovers, func() { sink.become(nil) })
				}
				ends := time.Now()
				r.end()
				if took := time.Since(ends); took > tc.wantTook {
					t.Errorf("the end took %s, want at most %s", took, tc.wantTook)
				}
				counts := sink.counts()
				if got := counts["a"] + counts["b"]; got != tc.wantWritten {
					t.Errorf("%d tries written, want %d: %v", got, tc.wantWritten, counts)
				}
				if got := r.metric(t, "plainspec_rejections_dropped_total", "shutdown"); got != float64(4-tc.wantWritten) {
					t.Errorf("%v tries dropped at the end, want %d", got, 4-tc.wantWritten)
				}
				if !strings.Contains(r.log.String(), tc.wantLog) {
					t.Errorf("log lacks %s:\n%s", tc.wantLog, r.log)
				}
				time.Sleep(2 * time.Minute) // timers of the test
			})
		})
	}
}

func TestAWriteUnderWayAtTheEndIsLetFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &fake{name: "log", fails: func(*auditv1alpha1.Rejection) error {
			time.Sleep(3 * time.Second)
			return nil
		}}
		r := run(t, audit.Options{Sinks: []audit.Sink{sink}})
		r.Record(rejection("shop", "a"))
		time.Sleep(1500 * time.Millisecond)
		r.end()
		if diff := cmp.Diff([]string{"a×1"}, sink.told()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

// TestEveryTryIsWrittenOrCountedAsDropped lets many record at once, sinks fail at random, and the bounds be too small.
func TestEveryTryIsWrittenOrCountedAsDropped(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sinks := make([]*fake, 2)
				o := audit.Options{PerNamespace: 6, Total: 20, Bytes: 40_000, Interval: 5 * time.Second}
				for i := range sinks {
					random := rand.New(rand.NewPCG(seed, uint64(i)))
					sinks[i] = &fake{name: fmt.Sprint("sink", i), fails: func(*auditv1alpha1.Rejection) error {
						time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
						switch random.IntN(20) {
						case 0, 1, 2, 3, 4, 5:
							return errors.New("busy")
						case 6:
							return audit.ErrRefused
						}
						return nil
					}}
					o.Sinks = append(o.Sinks, sinks[i])
				}
				r := run(t, o)
				const clients, calls = 8, 200
				var group errgroup.Group
				for client := range uint64(clients) {
					random := rand.New(rand.NewPCG(seed, 100+client))
					group.Go(func() error {
						for range calls {
							namespace := fmt.Sprint("n", random.IntN(5))
							r.Record(rejection(namespace, fmt.Sprint(namespace, "-", random.IntN(12))))
							time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
						}
						return nil
					})
				}
				if err := group.Wait(); err != nil {
					t.Fatal(err)
				}
				r.end()
				for _, sink := range sinks {
					written := 0.0
					for _, count := range sink.counts() {
						written += float64(count)
					}
					dropped := r.metric(t, "plainspec_rejections_dropped_total", sink.name)
					if written+dropped != clients*calls {
						t.Errorf("%s: %v written and %v dropped of %d", sink.name, written, dropped, clients*calls)
					}
					if written == 0 || dropped == 0 {
						t.Errorf("%s: %v written and %v dropped: nothing was tried", sink.name, written, dropped)
					}
					if got := r.metric(t, "plainspec_rejections_pending", sink.name); got != 0 {
						t.Errorf("%s: %v records wait after the end", sink.name, got)
					}
				}
			})
		})
	}
}

func TestSinksHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	_, err := audit.New(audit.Options{Sinks: []audit.Sink{&fake{name: "log"}, &fake{name: "log"}}, Registerer: prometheus.NewRegistry()})
	if err == nil || !strings.HasPrefix(err.Error(), `add sink "log": duplicate metrics collector registration`) {
		t.Errorf("New() error = %v", err)
	}
}

// BenchmarkRecord is what a refusal costs beyond its answer, with all processors refusing at once: of what is known, and of
// what is new while nothing can be written and all is full.
func BenchmarkRecord(b *testing.B) {
	for name, records := range map[string]int{"known": 50, "new, and full": 100_000} {
		b.Run(name, func(b *testing.B) {
			sink := &fake{name: "rejections"}
			sink.become(errors.New("connection refused"))
			r, err := audit.New(audit.Options{Sinks: []audit.Sink{sink, &fake{name: "log"}}, Registerer: prometheus.NewRegistry(), Logger: logr.Discard()})
			if err != nil {
				b.Fatal(err)
			}
			all := make([]*auditv1alpha1.Rejection, records)
			for i := range all {
				all[i] = rejection(fmt.Sprint("n", i%1000), fmt.Sprint("r", i))
				r.Record(all[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for i := rand.IntN(records); p.Next(); i++ {
					r.Record(all[i%records])
				}
			})
		})
	}
}
