package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"plainspec.dev/plainspec/certs"
)

// writeLocal writes a certificate for localhost that is valid from an hour before notAfter.
func writeLocal(t *testing.T, dir string, notAfter time.Time) {
	t.Helper()
	_, err := certs.WriteLocal(dir, certs.LocalOptions{
		Hosts:     []string{"localhost"},
		NotBefore: notAfter.Add(-time.Hour),
		NotAfter:  notAfter,
	})
	if err != nil {
		t.Fatalf("WriteLocal() error = %v", err)
	}
}

// run starts w and stops it when the test ends.
func run(t *testing.T, w *certs.Watcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("Run() error = %v", err)
		}
	})
}

// eventually waits until condition holds. The watcher polls every 10 s at the latest.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// syncBuffer collects a log that is written and read at the same time.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestNewWatcherRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		wantErr string // DIR stands for the directory.
	}{
		"an empty directory": {
			prepare: func(*testing.T, string) {},
			wantErr: "load serving certificate: DIR/tls.crt does not exist: put tls.crt and tls.key into DIR, or choose another directory with --certificate-dir",
		},
		"a directory without a key": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				writeLocal(t, dir, time.Now().Add(time.Hour))
				if err := os.Remove(filepath.Join(dir, certs.KeyFile)); err != nil {
					t.Fatal(err)
				}
			},
			wantErr: "load serving certificate: DIR/tls.key does not exist: put tls.crt and tls.key into DIR, or choose another directory with --certificate-dir",
		},
		"the key of another certificate": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				writeLocal(t, dir, time.Now().Add(time.Hour))
				other := t.TempDir()
				writeLocal(t, other, time.Now().Add(time.Hour))
				if err := os.Rename(filepath.Join(other, certs.KeyFile), filepath.Join(dir, certs.KeyFile)); err != nil {
					t.Fatal(err)
				}
			},
			wantErr: "load serving certificate from DIR/tls.crt and DIR/tls.key: tls: private key does not match public key",
		},
		"a certificate that is none": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				writeLocal(t, dir, time.Now().Add(time.Hour))
				if err := os.WriteFile(filepath.Join(dir, certs.CertificateFile), []byte("hello"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			wantErr: "load serving certificate from DIR/tls.crt and DIR/tls.key: tls: failed to find any PEM data in certificate input",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tc.prepare(t, dir)
			_, err := certs.NewWatcher(certs.Options{Dir: dir})
			if err == nil {
				t.Fatal("NewWatcher() error = nil")
			}
			if diff := cmp.Diff(tc.wantErr, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("NewWatcher() error mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckSaysWhenAndWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notAfter := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	writeLocal(t, dir, notAfter)
	w, err := certs.NewWatcher(certs.Options{Dir: dir})
	if err != nil {
		t.Fatalf("NewWatcher() error = %v", err)
	}
	if got := w.NotAfter(); !got.Equal(notAfter) {
		t.Errorf("NotAfter() = %s, want %s", got, notAfter)
	}
	tests := map[string]struct {
		now     time.Time
		wantErr string
	}{
		"valid at the last moment": {now: notAfter},
		"expired after it": {
			now:     notAfter.Add(time.Second),
			wantErr: "serving certificate expired at 2026-11-21T12:00:00Z: renew tls.crt in " + dir,
		},
		"not valid yet": {
			now:     notAfter.Add(-2 * time.Hour),
			wantErr: "serving certificate is not valid before 2026-11-21T11:00:00Z: compare the clocks, or renew tls.crt in " + dir,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			if err := w.Check(tc.now); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.wantErr, got); diff != "" {
				t.Errorf("Check() mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnExpiredCertificateIsReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	expired := time.Now().Add(-time.Minute).Truncate(time.Second)
	writeLocal(t, dir, expired)

	logged := &syncBuffer{}
	registry := prometheus.NewRegistry()
	w, err := certs.NewWatcher(certs.Options{
		Dir:        dir,
		Logger:     logr.FromSlogHandler(slog.NewTextHandler(logged, nil)),
		Registerer: registry,
	})
	if err != nil {
		t.Fatalf("NewWatcher() error = %v, want a server that starts and is not ready", err)
	}
	run(t, w)
	if err := w.Check(time.Now()); err == nil {
		t.Error("Check() error = nil for an expired certificate")
	}
	eventually(t, "the expired certificate is logged", func() bool {
		return strings.Contains(logged.String(), "serving certificate expired at "+expired.UTC().Format(time.RFC3339))
	})

	renewed := time.Now().Add(30 * time.Minute).Truncate(time.Second)
	writeLocal(t, dir, renewed)
	eventually(t, "the renewed certificate is served", func() bool { return w.NotAfter().Equal(renewed) })
	if err := w.Check(time.Now()); err != nil {
		t.Errorf("Check() error = %v for a renewed certificate", err)
	}
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatalf("gather metrics: %v", err)
	}
	left := gathered[0].GetMetric()[1].GetGauge().GetValue() * 24 * 60
	if gathered[0].GetName() != "plainspec_certificate_days_left" || left < 29 || left > 30 {
		t.Errorf("metric = %v, want plainspec_certificate_days_left with half an hour for the leaf", gathered[0])
	}
}

func TestTheDaysThatAreLeftAreMetrics(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := map[string]struct {
		validFor  time.Duration
		authority func(t *testing.T, path string)
		want      map[string]float64 // days, rounded
	}{
		"leaf and authority": {
			validFor:  30 * day,
			authority: func(*testing.T, string) {},
			want:      map[string]float64{"leaf": 30, "ca": 30},
		},
		"expired": {
			validFor:  -3 * day,
			authority: func(*testing.T, string) {},
			want:      map[string]float64{"leaf": -3, "ca": -3},
		},
		"several authorities, of which the first to expire counts": {
			validFor: 30 * day,
			authority: func(t *testing.T, path string) {
				t.Helper()
				bundle := append(newAuthority(t, "a", time.Now().Add(20*day), nil).bundle, newAuthority(t, "b", time.Now().Add(10*day), nil).bundle...)
				if err := os.WriteFile(path, bundle, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string]float64{"leaf": 30, "ca": 10},
		},
		"no authority": {
			validFor: 30 * day,
			authority: func(t *testing.T, path string) {
				t.Helper()
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string]float64{"leaf": 30},
		},
		"an authority that is none": {
			validFor: 30 * day,
			authority: func(t *testing.T, path string) {
				t.Helper()
				if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string]float64{"leaf": 30},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeLocal(t, dir, time.Now().Add(tc.validFor))
			tc.authority(t, filepath.Join(dir, certs.CAFile))
			registry := prometheus.NewRegistry()
			if _, err := certs.NewWatcher(certs.Options{Dir: dir, Registerer: registry}); err != nil {
				t.Fatalf("NewWatcher() error = %v", err)
			}
			gathered, err := registry.Gather()
			if err != nil {
				t.Fatalf("gather metrics: %v", err)
			}
			got := map[string]float64{}
			for _, metric := range gathered[0].GetMetric() {
				got[metric.GetLabel()[0].GetValue()] = math.Round(metric.GetGauge().GetValue())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("days mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// believer plays the API server's trust, in certificates that expire at certain times.
type believer struct {
	open bool // no webhook fails closed

	mu       sync.Mutex
	believed []time.Time
}

func (b *believer) believe(notAfter ...time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.believed = notAfter
}

// Check implements certs.Trusted.
func (b *believer) Check(certificate *tls.Certificate, _ time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.believed, certificate.Leaf.NotAfter.Equal) {
		return nil
	}
	return errors.New("who is that")
}

// CheckClosed implements certs.Trusted.
func (b *believer) CheckClosed(certificate *tls.Certificate, now time.Time) error {
	if b.open {
		return nil
	}
	return b.Check(certificate, now)
}

// A bundle that gets lost must not take away all replicas, unless nothing that fails closed can reach them anyway.
func TestOnceTrustedOnlyWebhooksThatFailClosedCount(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		trusted *believer
		ready   bool
	}{
		"a bundle of one that fails open is lost":   {&believer{open: true}, true},
		"a bundle of one that fails closed is lost": {&believer{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, expiry := t.TempDir(), time.Now().Add(time.Hour).Truncate(time.Second)
			writeLocal(t, dir, expiry)
			w, err := certs.NewWatcher(certs.Options{Dir: dir, Trusted: tc.trusted})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.CheckTrust(time.Now()); err == nil {
				t.Error("CheckTrust() error = nil before all webhooks trust the certificate")
			}
			tc.trusted.believe(expiry)
			if err := w.CheckTrust(time.Now()); err != nil {
				t.Errorf("CheckTrust() error = %v for a certificate that all trust", err)
			}
			tc.trusted.believe()
			if err := w.CheckTrust(time.Now()); (err == nil) != tc.ready {
				t.Errorf("CheckTrust() error = %v, want ready: %t", err, tc.ready)
			}
		})
	}
}

func TestARenewedCertificateIsHeldBackUntilItIsTrusted(t *testing.T) {
	t.Parallel()
	dir, logged, trusted := t.TempDir(), &syncBuffer{}, &believer{}
	first := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	second := first.Add(10 * time.Minute)
	trusted.believe(first)
	writeLocal(t, dir, first)
	w, err := certs.NewWatcher(certs.Options{Dir: dir, Trusted: trusted, Logger: logr.FromSlogHandler(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatalf("NewWatcher() error = %v", err)
	}
	run(t, w)

	writeLocal(t, dir, second)
	eventually(t, "the renewed certificate is held back", func() bool {
		return strings.Contains(logged.String(), `msg="renewed certificate held back" reason="who is that"`)
	})
	time.Sleep(3 * time.Second) // It is looked at each second.
	if got := w.NotAfter(); !got.Equal(first) {
		t.Errorf("NotAfter() = %s, want the first certificate's %s", got, first)
	}
	if err := w.CheckTrust(time.Now()); err != nil {
		t.Errorf("CheckTrust() error = %v for the first certificate", err)
	}
	if got := strings.Count(logged.String(), "held back"); got != 1 {
		t.Errorf("said %d times that it is held back, want once:\n%s", got, logged)
	}

	trusted.believe(first, second)
	eventually(t, "the renewed certificate is served", func() bool { return w.NotAfter().Equal(second) })
	if err := w.CheckTrust(time.Now()); err != nil {
		t.Errorf("CheckTrust() error = %v for the second certificate", err)
	}
}

func TestARenewedCertificateIsServedAtOnceIfTheOneBeforeIsOfNoUse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first   time.Duration
		trusted bool
	}{
		"not trusted": {first: 10 * time.Minute},
		"expired":     {first: -time.Minute, trusted: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, trusted := t.TempDir(), &believer{}
			first := time.Now().Add(tc.first).Truncate(time.Second)
			if tc.trusted {
				trusted.believe(first)
			}
			writeLocal(t, dir, first)
			w, err := certs.NewWatcher(certs.Options{Dir: dir, Trusted: trusted})
			if err != nil {
				t.Fatalf("NewWatcher() error = %v", err)
			}
			run(t, w)
			second := time.Now().Add(30 * time.Minute).Truncate(time.Second)
			writeLocal(t, dir, second)
			eventually(t, "the renewed certificate is served", func() bool { return w.NotAfter().Equal(second) })
			if err := w.CheckTrust(time.Now()); err == nil || err.Error() != "who is that" {
				t.Errorf("CheckTrust() error = %v, want what is said of a certificate that nobody trusts", err)
			}
		})
	}
}

// A mounted Secret is a directory of links through "..data", which the kubelet exchanges at once.
func TestARenewedSecretMountIsServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := func(target, name string) {
		t.Helper()
		temporary := filepath.Join(dir, "..tmp")
		if err := os.Symlink(target, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	writeLocal(t, filepath.Join(dir, "..1"), time.Now().Add(10*time.Minute))
	link("..1", "..data")
	for _, name := range []string{certs.CertificateFile, certs.KeyFile} {
		link(filepath.Join("..data", name), name)
	}
	w, err := certs.NewWatcher(certs.Options{Dir: dir})
	if err != nil {
		t.Fatalf("NewWatcher() error = %v", err)
	}
	run(t, w)

	renewed := time.Now().Add(40 * time.Minute).Truncate(time.Second)
	writeLocal(t, filepath.Join(dir, "..2"), renewed)
	link("..2", "..data")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the renewed Secret is served", func() bool { return w.NotAfter().Equal(renewed) })
}

func TestBrokenFilesLeaveTheCertificateInPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	writeLocal(t, dir, first)
	w, err := certs.NewWatcher(certs.Options{Dir: dir})
	if err != nil {
		t.Fatalf("NewWatcher() error = %v", err)
	}
	run(t, w)

	if err := os.WriteFile(filepath.Join(dir, certs.CertificateFile), []byte("half a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := w.NotAfter(); !got.Equal(first) {
		t.Errorf("NotAfter() = %s, want the first certificate's %s", got, first)
	}
	second := first.Add(10 * time.Minute)
	writeLocal(t, dir, second)
	eventually(t, "the repaired files are served", func() bool { return w.NotAfter().Equal(second) })
}
