package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/certs"
)

func TestWriteLocal(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "certificates")
	notBefore := time.Now().Add(-time.Minute).Truncate(time.Second).UTC()
	notAfter := notBefore.Add(time.Hour)

	caBundle, err := certs.WriteLocal(dir, certs.LocalOptions{
		Hosts:     []string{"plainspec.plainspec-system.svc", "127.0.0.1", "::1"},
		NotBefore: notBefore,
		NotAfter:  notAfter,
	})
	if err != nil {
		t.Fatalf("WriteLocal() error = %v", err)
	}

	onDisk, err := os.ReadFile(filepath.Join(dir, certs.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(caBundle), string(onDisk)); diff != "" {
		t.Errorf("ca.crt is not the returned bundle (-returned +file):\n%s", diff)
	}

	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.CertificateFile), filepath.Join(dir, certs.KeyFile))
	if err != nil {
		t.Fatalf("load written pair: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caBundle) {
		t.Fatal("the returned bundle holds no certificate")
	}
	for _, host := range []string{"plainspec.plainspec-system.svc", "127.0.0.1", "::1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
			t.Errorf("verify as %s: %v", host, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "example.com", Roots: roots}); err == nil {
		t.Error("the certificate is valid for a host that was not asked for")
	}
	if diff := cmp.Diff([]time.Time{notBefore, notAfter}, []time.Time{pair.Leaf.NotBefore, pair.Leaf.NotAfter}); diff != "" {
		t.Errorf("validity mismatch (-want +got):\n%s", diff)
	}
	if pair.Leaf.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("key algorithm = %s, want ECDSA", pair.Leaf.PublicKeyAlgorithm)
	}
}

func TestWriteLocalProtectsTheKeyAndLeavesNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // The second time replaces files that exist.
		if _, err := certs.WriteLocal(dir, certs.LocalOptions{Hosts: []string{"localhost"}}); err != nil {
			t.Fatalf("WriteLocal() error = %v", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Name()] = info.Mode().String()
	}
	want := map[string]string{"ca.crt": "-rw-r--r--", "tls.crt": "-rw-r--r--", "tls.key": "-rw-------"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("directory mismatch (-want +got):\n%s", diff)
	}
}

func TestWriteLocalKeepsTheAuthoritysKeyToItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := certs.WriteLocal(dir, certs.LocalOptions{Hosts: []string{"localhost"}}); err != nil {
		t.Fatalf("WriteLocal() error = %v", err)
	}
	for _, name := range []string{certs.CAFile, certs.CertificateFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
			t.Errorf("%s holds more or less than one certificate:\n%s", name, data)
		}
	}
}

func TestWriteLocalRefuses(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		dir     string
		options certs.LocalOptions
		wantErr string
	}{
		"no hosts": {
			dir:     t.TempDir(),
			wantErr: "make local certificate: no hosts given",
		},
		"an end before the start": {
			dir:     t.TempDir(),
			options: certs.LocalOptions{Hosts: []string{"a"}, NotBefore: start, NotAfter: start.Add(-time.Hour)},
			wantErr: "make local certificate: ends at 2026-11-20T23:00:00Z, before it starts at 2026-11-21T00:00:00Z",
		},
		"a directory that cannot be made": {
			dir:     filepath.Join(file, "certificates"),
			options: certs.LocalOptions{Hosts: []string{"a"}},
			wantErr: "write local certificate: mkdir " + file + ": not a directory",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := certs.WriteLocal(tc.dir, tc.options)
			if err == nil {
				t.Fatal("WriteLocal() error = nil")
			}
			if !strings.HasPrefix(err.Error(), tc.wantErr) {
				t.Errorf("WriteLocal() error = %q, want %q", err, tc.wantErr)
			}
		})
	}
}
