package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// slowReview is a review whose second half is sent later.
type slowReview struct {
	t          *testing.T
	connection net.Conn
}

const review = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1",` +
	`"kind":{"version":"v1","kind":"Pod"},"operation":"CREATE","namespace":"drain","object":{"apiVersion":"v1","kind":"Pod"}}}`

// slowReview opens a connection as the API server does.
func (s *server) slowReview(t *testing.T) *slowReview {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.caBundle) {
		t.Fatal("the server's authority is no certificate")
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	connection, err := dialer.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return &slowReview{t: t, connection: connection}
}

// begin sends the header and half of the body.
func (r *slowReview) begin() {
	r.t.Helper()
	r.send(fmt.Sprintf("POST /validate?timeout=30s HTTP/1.1\r\nHost: plainspec\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(review), review[:len(review)/2]))
}

// finish sends the rest and returns the answer's status.
func (r *slowReview) finish() string {
	r.t.Helper()
	r.send(review[len(review)/2:])
	response, err := http.ReadResponse(bufio.NewReader(r.connection), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("the answer is %s", body)
	return response.Status
}

func (r *slowReview) send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.connection, text); err != nil {
		r.t.Fatal(err)
	}
}

// terminate asks the server to end, returns when it drains, and gives a function that waits for
// its end.
func (s *server) terminate(t *testing.T) (ended func() error) {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.logged(`"msg":"draining"`) > 0 }, func() string { return "the server says " + s.lastWords() })
	start := time.Now()
	s.command = nil
	return func() error {
		err := s.ended.Wait()
		t.Logf("the server ended %s after it began to drain", time.Since(start).Round(time.Second))
		return err
	}
}
