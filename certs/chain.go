package certs

import (
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ChainOptions describe the certificates of one installation.
type ChainOptions struct {
	// Name starts the name of each object; the serving certificate and its Secret are called NAME-serving.
	Name string
	// Namespace is where all of it lives.
	Namespace string
	// Service is the name of the Service by which the API server calls the server.
	Service string
	// Labels are put on each object and on the Secrets.
	Labels map[string]string
	// CertificateDuration and CADuration are how long the leaf and its authority are valid; zero takes the defaults.
	CertificateDuration, CADuration time.Duration
}

// Chain returns what cert-manager makes the serving certificate from: a self-signed issuer, the authority's certificate,
// the authority's issuer and the serving certificate, in this order.
func Chain(ChainOptions) ([]client.Object, error) { return nil, errors.New("not built yet") }
