package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of the files in a certificate directory; those that a Secret of type kubernetes.io/tls has when it is mounted.
const (
	// CertificateFile holds the serving certificate, then its intermediates, as PEM.
	CertificateFile = "tls.crt"
	// KeyFile holds the private key of the serving certificate, as PEM.
	KeyFile = "tls.key"
	// CAFile holds the certificate that signed the serving certificate, as PEM. The server does not read it.
	CAFile = "ca.crt"
)

// LocalOptions says what WriteLocal certifies.
type LocalOptions struct {
	// Hosts are the DNS names and IP addresses under which the server is called. At least one.
	Hosts []string
	// NotBefore is the start of the certificates' validity. Default: an hour ago, since clocks differ.
	NotBefore time.Time
	// NotAfter is its end. Default: in 90 days.
	NotAfter time.Time
}

// WriteLocal makes a certificate authority and a serving certificate signed by it (both ECDSA P-256), and writes tls.crt,
// tls.key (mode 0600) and ca.crt into dir, which is created if it is missing. It returns the authority's certificate as
// PEM, as a webhook configuration's caBundle wants it.
//
// It is for local clusters and tests only: nothing renews what it writes, and since the authority's key is thrown away,
// nothing can. In a cluster, cert-manager does this work.
//
// Each file is replaced as a whole. A Watcher that reads between two of them sees a key that does not belong to its
// certificate, keeps the pair that it has, and reads again when the next file changes.
func WriteLocal(dir string, o LocalOptions) (caBundle []byte, err error) {
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = time.Now().AddDate(0, 0, 90)
	}
	if len(o.Hosts) == 0 {
		return nil, errors.New("make local certificate: no hosts given")
	}
	if !o.NotAfter.After(o.NotBefore) {
		return nil, fmt.Errorf("make local certificate: ends at %s, before it starts at %s",
			o.NotAfter.Format(time.RFC3339), o.NotBefore.Format(time.RFC3339))
	}
	pair, err := makeLocal(o)
	if err != nil {
		return nil, fmt.Errorf("make local certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("write local certificate: %w", err)
	}
	for _, file := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{
		{name: CAFile, data: pair.ca, mode: 0o644},
		{name: KeyFile, data: pair.key, mode: 0o600},
		{name: CertificateFile, data: pair.certificate, mode: 0o644},
	} {
		if err := writeFile(filepath.Join(dir, file.name), file.data, file.mode); err != nil {
			return nil, fmt.Errorf("write local certificate: %w", err)
		}
	}
	return pair.ca, nil
}

// localPair is a serving certificate with its key and its authority's certificate, each as PEM.
type localPair struct {
	ca, certificate, key []byte
}

func makeLocal(o LocalOptions) (*localPair, error) {
	caTemplate := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Plainspec local authority"},
		NotBefore:             o.NotBefore,
		NotAfter:              o.NotAfter,
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate authority's key: %w", err)
	}
	ca, err := sign(caTemplate, caTemplate, caKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("sign authority's certificate: %w", err)
	}

	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Plainspec"},
		NotBefore:   o.NotBefore,
		NotAfter:    o.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range o.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	leaf, err := sign(template, ca, key, caKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &localPair{
		ca:          pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}),
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

// sign returns template for key's owner, signed by signer, the key of parent.
func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	// RFC 5280, 4.1.2.2: positive and at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// writeFile replaces the file at path as a whole: a reader sees the old content or the new one.
func writeFile(path string, data []byte, mode os.FileMode) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	if err := fill(temporary, data, mode); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

func fill(file *os.File, data []byte, mode os.FileMode) error {
	// The mode comes first, so that a key is at no time readable by others.
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}
