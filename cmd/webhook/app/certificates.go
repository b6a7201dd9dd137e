package app

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/cmd/webhook/options"
)

// certificates are the serving certificate, when it lets the server be ready, and what is to run for it.
type certificates struct {
	watcher *certs.Watcher
	checks  map[string]func() error
	runs    []func(context.Context) error
}

// newCertificates reads the serving certificate. It is compared with webhook configurations if the flags name them.
func newCertificates(o *options.Options, log logr.Logger, registerer prometheus.Registerer) (*certificates, error) {
	watched := certs.Options{Dir: o.CertificateDir, Logger: log, Registerer: registerer}
	c := &certificates{}
	if o.WebhookConfiguration != "" {
		reader, err := newConfigurationReader(o.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--webhook-configuration: %w", err)
		}
		trust := certs.NewTrust(certs.TrustOptions{Client: reader, Name: o.WebhookConfiguration, Logger: log})
		watched.Trusted = trust
		c.runs = append(c.runs, trust.Run)
		c.checks = map[string]func() error{"trust": func() error { return c.watcher.CheckTrust(time.Now()) }}
	}
	var err error
	if c.watcher, err = certs.NewWatcher(watched); err != nil {
		return nil, err
	}
	c.runs = append(c.runs, c.watcher.Run)
	return c, nil
}

// newConfigurationReader returns a client that can get webhook configurations and nothing else. It makes no call now: an
// API server that cannot be reached keeps the server from being ready, not from starting.
func newConfigurationReader(kubeconfig string) (client.Reader, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := admissionregistrationv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	// Without a mapper of its own, the client would discover all kinds of the cluster.
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{admissionregistrationv1.SchemeGroupVersion})
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		mapper.Add(admissionregistrationv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	reader, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return reader, nil
}
