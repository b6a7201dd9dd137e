package validate

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/semaphore"

	"plainspec.dev/plainspec/internal/workload"
)

// Large objects are judged one after the other: a Pod of 100 KiB can take a second of CPU and a hundred times its size in
// memory, and a client may send one on each connection. All others never wait for them.
const (
	// largeBytes is the size from which a request's objects are large, together: five times that of a Pod with ten
	// containers and forty variables each. It is told before anything is decoded.
	largeBytes = 128 << 10
	// largeWeight is the weight from which one object is large (workload.Object.Weight): four times the heaviest of the
	// corpus's published manifests. What weighs less takes some 50 ms and 10 MiB.
	largeWeight = 1_000
	// mostWaiting is how many large objects wait while another is judged. Each takes one of the places of reviews
	// (--max-in-flight, 32), of which ordinary objects keep half.
	mostWaiting = 16
)

// errCrowded says that a large object found too many others waiting.
var errCrowded = errors.New("too many other large objects are waiting to be judged")

// line is where large objects wait.
type line struct {
	places *semaphore.Weighted // of those that wait, and of the one whose turn it is
	turns  *semaphore.Weighted
}

func newLine() *line {
	return &line{places: semaphore.NewWeighted(1 + mostWaiting), turns: semaphore.NewWeighted(1)}
}

// turn is one review's.
type turn struct {
	line  *line
	taken bool
}

// read waits for the review's turn if its objects, which are yet to be decoded, are large.
func (t *turn) read(ctx context.Context, req *Request) error {
	if len(req.Object)+len(req.OldObject) <= largeBytes {
		return nil
	}
	return t.take(ctx)
}

// judge waits for the review's turn if a decoded object is large.
func (t *turn) judge(ctx context.Context, object *workload.Object) error {
	if object.Weight() <= largeWeight {
		return nil
	}
	return t.take(ctx)
}

// take waits for the review's turn, first come first served, unless it has come already. Its error says that it did not
// come before the end of ctx, or that too many others wait.
func (t *turn) take(ctx context.Context) error {
	if t.taken {
		return nil
	}
	if !t.line.places.TryAcquire(1) {
		return errCrowded
	}
	if err := t.line.turns.Acquire(ctx, 1); err != nil {
		t.line.places.Release(1)
		return fmt.Errorf("wait for other large objects: %w", err)
	}
	t.taken = true
	return nil
}

// end ends the turn if it has come.
func (t *turn) end() {
	if t.taken {
		t.line.turns.Release(1)
		t.line.places.Release(1)
	}
}
