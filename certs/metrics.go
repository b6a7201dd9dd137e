package certs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// expiryCollector tells how long the serving certificate and its authority are valid.
type expiryCollector struct {
	watcher *Watcher
}

// daysLeft is in days, and not in the seconds that are usual: it is for people and their alerts, who think of
// certificates in days.
func daysLeft() *prometheus.Desc {
	return prometheus.NewDesc("plainspec_certificate_days_left",
		"Days until the serving certificate (leaf) or the authority in ca.crt (ca) expires; negative once it has.", []string{"certificate"}, nil)
}

// Describe implements prometheus.Collector.
func (c *expiryCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- daysLeft() }

// Collect implements prometheus.Collector. Without a ca.crt that can be read, there is no series of the authority.
func (c *expiryCollector) Collect(metrics chan<- prometheus.Metric) {
	now := time.Now()
	send := func(certificate string, notAfter time.Time) {
		metrics <- prometheus.MustNewConstMetric(daysLeft(), prometheus.GaugeValue, notAfter.Sub(now).Hours()/24, certificate)
	}
	send("leaf", c.watcher.NotAfter())
	if notAfter, err := authorityNotAfter(filepath.Join(c.watcher.dir, CAFile)); err == nil {
		send("ca", notAfter)
	}
}

// authorityNotAfter returns when the first of the certificates in a PEM file expires.
func authorityNotAfter(path string) (first time.Time, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return first, fmt.Errorf("read authority: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return first, fmt.Errorf("parse authority in %s: %w", path, err)
		}
		if first.IsZero() || certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
	}
	if first.IsZero() {
		return first, fmt.Errorf("parse authority: %s holds no certificate", path)
	}
	return first, nil
}
