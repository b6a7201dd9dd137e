package certs

import (
	"crypto/x509"
	"time"
)

// Trusted says whether the API server, as its webhook configurations are now, accepts a serving certificate.
type Trusted interface {
	// Check returns an error that says which webhook's CA bundle does not sign the certificate, or that none is known yet.
	Check(leaf *x509.Certificate, now time.Time) error
}
