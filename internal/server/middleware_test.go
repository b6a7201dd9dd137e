package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"plainspec.dev/plainspec/internal/server"
)

func TestTheDeadlineFollowsTheClientsTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		query       string
		wantTimeout time.Duration
		wantMargin  time.Duration
	}{
		"the API server's":               {query: "?timeout=5s", wantTimeout: 5 * time.Second, wantMargin: 500 * time.Millisecond},
		"a short one keeps most of it":   {query: "?timeout=1s", wantTimeout: time.Second, wantMargin: 200 * time.Millisecond},
		"none":                           {query: "", wantTimeout: 10 * time.Second, wantMargin: 500 * time.Millisecond},
		"longer than the API allows":     {query: "?timeout=1h", wantTimeout: 30 * time.Second, wantMargin: 500 * time.Millisecond},
		"nothing that is a duration":     {query: "?timeout=soon", wantTimeout: 10 * time.Second, wantMargin: 500 * time.Millisecond},
		"a number without a unit":        {query: "?timeout=5", wantTimeout: 10 * time.Second, wantMargin: 500 * time.Millisecond},
		"a negative one":                 {query: "?timeout=-5s", wantTimeout: 10 * time.Second, wantMargin: 500 * time.Millisecond},
		"a query that cannot be decoded": {query: "?timeout=%zz", wantTimeout: 10 * time.Second, wantMargin: 500 * time.Millisecond},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := server.ClientTimeout(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate"+tc.query, http.NoBody))
			got := []time.Duration{timeout, server.Margin(timeout)}
			if diff := cmp.Diff([]time.Duration{tc.wantTimeout, tc.wantMargin}, got); diff != "" {
				t.Errorf("timeout and margin mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheHandlersContextEndsBeforeTheClientGivesUp(t *testing.T) {
	t.Parallel()
	p := start(t, setup{options: server.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		<-r.Context().Done()
		_, _ = fmt.Fprint(w, context.Cause(r.Context()))
	})}})
	if got, err := p.post(p.client(nil), "?timeout=1s", "{}"); err != nil || got != "200 context deadline exceeded" {
		t.Errorf("post = %q, %v; want the deadline to end the context and the answer to arrive", got, err)
	}
}

func TestTheHandlersContextLeavesTheMargin(t *testing.T) {
	t.Parallel()
	remaining := make(chan time.Duration, 1)
	p := start(t, setup{options: server.Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		remaining <- time.Until(deadline)
	})}})
	if _, err := p.post(p.client(nil), "?timeout=30s", "{}"); err != nil {
		t.Fatalf("post error = %v", err)
	}
	if got := <-remaining; got > 29500*time.Millisecond || got <= 0 {
		t.Errorf("%s remain for the handler, want at most 29.5s of the client's 30s", got)
	}
}

func TestASlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	p := start(t, setup{prepare: func(s *server.Server) { s.Shorten(100*time.Millisecond, 0, 0) }})
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: p.roots}}).DialContext(t.Context(), "tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if _, err := io.WriteString(connection, "POST /validate HTTP/1.1\r\nHost: plainspec\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	// Far from the limit of this test, and sooner than that for whole requests.
	if err := connection.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(connection); err != nil || strings.Contains(string(got), "200") {
		t.Errorf("read = %q, %v; want the connection to be closed", got, err)
	}
}

func TestABodyIsCutOffWhenItsSenderWouldGiveUp(t *testing.T) {
	t.Parallel()
	result := make(chan error, 1)
	p := start(t, setup{options: server.Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		result <- err
	})}})
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: p.roots}}).DialContext(t.Context(), "tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if _, err := io.WriteString(connection, "POST /validate?timeout=1s HTTP/1.1\r\nHost: plainspec\r\nContent-Length: 10\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		if err == nil || !strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("read body error = %v, want a timeout", err)
		}
	case <-time.After(20 * time.Second): // Sooner than the limit for whole requests.
		t.Error("the body is still being read long after its sender gave up")
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, setup{})
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: p.roots}}).DialContext(t.Context(), "tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	// net/http grants 4 KiB more than the limit.
	if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: a\r\nX-Large: "+strings.Repeat("x", 21<<10)); err != nil {
		t.Fatal(err)
	}
	status, err := bufio.NewReader(connection).ReadString('\n')
	if want := "HTTP/1.1 431 Request Header Fields Too Large\r\n"; err != nil || status != want {
		t.Errorf("status = %q, %v; want %q", status, err, want)
	}
}

// blocked is a handler that holds each request until it is released.
type blocked struct {
	arrived chan struct{}
	release chan struct{}
}

func newBlocked() *blocked {
	return &blocked{arrived: make(chan struct{}, 100), release: make(chan struct{})}
}

func (b *blocked) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	b.arrived <- struct{}{}
	<-b.release
	_, _ = io.WriteString(w, "admitted")
}

func TestOverload(t *testing.T) {
	t.Parallel()
	handler := newBlocked()
	p := start(t, setup{
		prepare: func(s *server.Server) { s.Shorten(0, 0, 1) }, // One may wait.
		options: server.Options{
			MaxInFlight: 1,
			Handler:     handler,
			Overloaded: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = fmt.Fprintf(w, "overloaded: %s %v", body, err)
			}),
		},
	})
	expect := func(query, body, want string) func() error {
		return func() error {
			if got, err := p.post(p.client(nil), query, body); err != nil || got != want {
				return fmt.Errorf("request %s got %q, %w; want %q", body, got, errors.Join(err), want)
			}
			return nil
		}
	}
	var group errgroup.Group
	group.Go(expect("?timeout=30s", "first", "200 admitted"))
	<-handler.arrived
	// The second waits until its deadline, and its body can still be read for the answer.
	if err := expect("?timeout=1s", "second", "503 overloaded: second <nil>")(); err != nil {
		t.Error(err)
	}
	// The third waits, so the fourth is told at once, long before its deadline.
	group.Go(expect("?timeout=30s", "third", "200 admitted"))
	p.eventually("the third waits", func() bool { return p.metric("plainspec_http_requests_waiting") == 1 })
	if err := expect("?timeout=30s", "fourth", "503 overloaded: fourth <nil>")(); err != nil {
		t.Error(err)
	}
	close(handler.release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got := p.metric("plainspec_http_requests_overloaded_total"); got != 2 {
		t.Errorf("plainspec_http_requests_overloaded_total = %v, want 2", got)
	}
}

// A large request waits for other large ones, and no other request for it.
func TestLargeRequestsShareTheMemory(t *testing.T) {
	t.Parallel()
	handler := newBlocked()
	p := start(t, setup{
		prepare: func(s *server.Server) { s.LimitLarge(10, 40) },
		options: server.Options{MaxInFlight: 3, Handler: handler},
	})
	var group errgroup.Group
	send := func(size int) {
		group.Go(func() error {
			if got, err := p.post(p.client(nil), "?timeout=30s", strings.Repeat("x", size)); err != nil || got != "200 admitted" {
				return fmt.Errorf("a request of %d bytes got %q, %w", size, got, errors.Join(err))
			}
			return nil
		})
	}
	send(30)
	<-handler.arrived
	// It does not fit beside the first one, and gets no answer until that has ended.
	if got, err := p.post(p.client(nil), "?timeout=1s", strings.Repeat("x", 30)); err != nil || got != "503 overloaded" {
		t.Errorf("a large request beside another: %q, %v; want 503 overloaded", got, err)
	}
	send(30)
	send(1000) // as large as all
	p.eventually("two wait", func() bool { return p.metric("plainspec_http_requests_in_flight") == 3 })
	// No more may wait than may be handled, and others go by.
	if got, err := p.post(p.client(nil), "?timeout=30s", strings.Repeat("x", 11)); err != nil || got != "503 overloaded" {
		t.Errorf("a large request beyond those that may wait: %q, %v; want 503 overloaded", got, err)
	}
	send(10)
	<-handler.arrived
	close(handler.release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got := p.metric("plainspec_http_requests_overloaded_total"); got != 2 {
		t.Errorf("plainspec_http_requests_overloaded_total = %v, want 2", got)
	}
}

func TestOverloadHasAnAnswerOfItsOwn(t *testing.T) {
	t.Parallel()
	handler := newBlocked()
	p := start(t, setup{options: server.Options{MaxInFlight: 1, Handler: handler}})
	var group errgroup.Group
	group.Go(func() error {
		_, err := p.post(p.client(nil), "?timeout=30s", "{}")
		return err
	})
	<-handler.arrived
	if got, err := p.post(p.client(nil), "?timeout=1s", "{}"); err != nil || got != "503 overloaded" {
		t.Errorf("post = %q, %v; want 503 overloaded", got, err)
	}
	close(handler.release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAPanicIsAnsweredAndTheNextRequestToo(t *testing.T) {
	t.Parallel()
	p := start(t, setup{options: server.Options{
		MaxInFlight: 1, // A panic that kept its place would block the next request.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("do") {
			case "panic":
				panic("boom")
			case "abort":
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "admitted")
		}),
	}})
	if got, err := p.post(p.client(nil), "?do=panic", "{}"); err != nil || got != "500 internal error" {
		t.Errorf("post = %q, %v; want 500 internal error", got, err)
	}
	if got, err := p.post(p.client(nil), "?do=abort", "{}"); err == nil {
		t.Errorf("post = %q, want a cut connection", got)
	}
	if got, err := p.post(p.client(nil), "", "{}"); err != nil || got != "200 admitted" {
		t.Errorf("post after panics = %q, %v", got, err)
	}
	if got := p.metric("plainspec_http_panics_total"); got != 1 {
		t.Errorf("plainspec_http_panics_total = %v, want 1", got)
	}
}
