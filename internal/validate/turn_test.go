package validate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/policies"
)

// withArguments is a Pod whose container has an untagged image and n words to run.
func withArguments(n int) []byte {
	return []byte(`{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"a","args":[` + strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + `]}]}}`)
}

// mounting is a Pod of a server's image with n mounts of one claim, each of which is a finding.
func mounting(n int) []byte {
	mounts := make([]string, n)
	for i := range mounts {
		mounts[i] = fmt.Sprintf(`{"name":"v","mountPath":"/webapps/%d"}`, i)
	}
	return []byte(`{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"tomcat","volumeMounts":[` + strings.Join(mounts, ",") +
		`]}],"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"code-claim0"}}]}}`)
}

func TestWhatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	spaces := []byte(strings.Repeat(" ", largeBytes))
	for name, tc := range map[string]struct {
		request   Request
		wantWaits bool
	}{
		"an ordinary Pod":                      {create(podJSON("a")), false},
		"a Pod of many facts":                  {create(withArguments(largeWeight)), true},
		"a Pod of fewer":                       {create(withArguments(largeWeight / 2)), false},
		"a Pod of many bytes":                  {create(append(podJSON("a"), spaces...)), true},
		"an update of a Pod of many bytes":     {update(append(podJSON("a:1"), spaces...), podJSON("a")), true},
		"an update of a Pod of many facts":     {update(withArguments(largeWeight), podJSON("b")), true},
		"that mends it":                        {update(withArguments(largeWeight), podJSON("a:1")), false},
		"many bytes of a kind that has no Pod": {Request{Operation: Create, Kind: "ConfigMap", Object: spaces}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reviewer(t, Options{})
			if _, err := r.Review(t.Context(), tc.request, day); err != nil {
				t.Fatalf("while nothing waits: %v", err)
			}
			if !r.large.places.TryAcquire(1 + mostWaiting) {
				t.Fatal("a review that is over takes a place")
			}
			_, err := r.Review(t.Context(), tc.request, day)
			if errors.Is(err, errCrowded) != tc.wantWaits {
				t.Errorf("while all places are taken: %v, want no place: %v", err, tc.wantWaits)
			}
		})
	}
}

func TestTurnsComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := newLine()
		first := &turn{line: line}
		if err := errors.Join(first.take(t.Context()), first.take(t.Context())); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := &turn{line: line}
		if err := late.take(ctx); err == nil || err.Error() != "wait for other large objects: context deadline exceeded" {
			t.Errorf("the turn of another came: %v", err)
		}
		late.end()
		time.AfterFunc(time.Second, first.end)
		second := &turn{line: line}
		if err := second.take(t.Context()); err != nil {
			t.Error(err)
		}
		second.end()
		if !line.places.TryAcquire(1 + mostWaiting) {
			t.Error("places are taken that nobody has")
		}
	})
}

// TestWhatIsAskedGrowsWithTheObject holds that twice as many mounts are not four times the work: three thousand took a
// minute. Allocations are the measure, which time is not.
//
//nolint:paralleltest // it counts the allocations of the process
func TestWhatIsAskedGrowsWithTheObject(t *testing.T) {
	library, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	r := reviewer(t, Options{Set: library})
	for name, image := range map[string]string{"of a server": "tomcat", "of what fetches code": "git:1.2.3", "of an init container": "shop:1.2.3"} {
		t.Run(name, func(t *testing.T) {
			allocations := func(n int) float64 {
				object := []byte(strings.Replace(string(mounting(n)), `"image":"tomcat"`, `"image":"`+image+`"`, 1))
				if name == "of an init container" {
					object = []byte(strings.Replace(string(object), `"containers":[`, `"containers":[{"name":"m","image":"tomcat:9.0.1","volumeMounts":[{"name":"v","mountPath":"/m"}]}],"initContainers":[`, 1))
				}
				return testing.AllocsPerRun(1, func() { review(t, r, create(object), day) })
			}
			if once, twice := allocations(400), allocations(800); twice > 2.5*once {
				t.Errorf("800 mounts take %.0f allocations, 400 take %.0f", twice, once)
			}
		})
	}
}

// TestLargeObjectsDoNotTakeTheMemory holds what stays reachable while as many large objects are reviewed at once as the
// server lets in by default: the chart's limit is 256 MiB. A run of the garbage collector is the measure.
//
//nolint:paralleltest // it measures the process, and changes its collector
func TestLargeObjectsDoNotTakeTheMemory(t *testing.T) {
	const (
		inFlight = 32
		most     = 96 << 20
		patience = 2 * time.Second // less than the API server has
	)
	library, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	for name, tc := range map[string]struct{ mounts int }{
		"the heaviest that are judged":      {4100},
		"the heaviest that take no turns":   {largeWeight/6 - 1},
		"more than are judged":              {60_000},
		"as many bytes as reviews may have": {100_000},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.GC() // what others left is not reachable
			r := reviewer(t, Options{Set: library})
			req := create(mounting(tc.mounts))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var reviews errgroup.Group
			for range inFlight {
				reviews.Go(func() error {
					_, err := r.Review(ctx, req, day)
					if undecided := (*UndecidedError)(nil); err != nil && !errors.As(err, &undecided) {
						return err
					}
					return nil
				})
			}
			ended := make(chan error, 1)
			go func() { ended <- reviews.Wait() }()
			peak := uint64(0)
			for sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}; ; {
				select {
				case err := <-ended:
					if err != nil {
						t.Error(err)
					}
					if t.Logf("peak %d MiB", peak>>20); peak == 0 || peak > most {
						t.Errorf("%d MiB were reachable, want at most %d", peak>>20, most>>20)
					}
					return
				case <-time.After(time.Millisecond):
					metrics.Read(sample)
					peak = max(peak, sample[0].Value.Uint64())
				}
			}
		})
	}
}
