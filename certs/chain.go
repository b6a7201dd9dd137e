package certs

import (
	"errors"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// DefaultCertificateDuration is how long a serving certificate is valid; it is renewed when a third of that, 30 days,
	// is left, which is time enough to notice that nobody renews it.
	DefaultCertificateDuration = 90 * 24 * time.Hour
	// DefaultCADuration is how long an authority is valid. A new one makes the API server learn a new CA bundle: rare
	// enough to be no burden, and often enough to be known to work.
	DefaultCADuration = 5 * 365 * 24 * time.Hour

	// minCertificateDuration is the shortest that cert-manager accepts.
	minCertificateDuration = time.Hour
	// caRenewal is how many lives of a serving certificate an authority has left when its successor takes over. What was
	// signed on its last day would need one; the other is for a cert-manager that comes late. So no serving certificate
	// outlives the authority that signed it.
	caRenewal = 2
)

// ChainOptions describe the certificates of one installation.
type ChainOptions struct {
	// Name starts the name of each object; the serving certificate and its Secret are called NAME-serving. Required.
	Name string
	// Namespace is where all of it lives. Required.
	Namespace string
	// Service is the name of the Service by which the API server calls the server. Required.
	Service string
	// IPAddresses are by which else the server is called, for an API server that does it by URL.
	IPAddresses []string
	// Labels are put on each object, and not on the Secrets that cert-manager makes: a tool that prunes what carries the
	// labels and is not in the chart would delete them.
	Labels map[string]string
	// Issuer signs the serving certificate instead of an authority made for it. It writes the authority that signs into the
	// Secret's ca.crt, from where cert-manager's cainjector takes it. Default: an authority of the installation's own.
	Issuer *cmmetav1.IssuerReference
	// CertificateDuration and CADuration are how long the leaf and its authority are valid; zero takes the defaults. The
	// leaf's is at least an hour, the authority's at least three times the leaf's.
	CertificateDuration, CADuration time.Duration
}

// ServingName returns the name of the serving Certificate and of its Secret. The annotation
// cert-manager.io/inject-ca-from: NAMESPACE/ServingName(NAME) on a webhook configuration brings the authority there.
func ServingName(name string) string { return name + "-serving" }

// Chain returns what cert-manager makes the serving certificate from: a self-signed issuer, the authority's certificate,
// the authority's issuer and the serving certificate, in this order; the last alone if o.Issuer signs it. It needs
// cert-manager 1.18 or newer; from 1.21 on, its cainjector keeps the old authority beside the new one, so that neither is
// missing while a leaf changes.
func Chain(o ChainOptions) ([]client.Object, error) {
	if o.CertificateDuration == 0 {
		o.CertificateDuration = DefaultCertificateDuration
	}
	if o.CADuration == 0 {
		o.CADuration = DefaultCADuration
	}
	switch {
	case o.Name == "" || o.Namespace == "" || o.Service == "":
		return nil, errors.New("build certificate chain: name, namespace and service are required")
	case o.CertificateDuration < minCertificateDuration:
		return nil, fmt.Errorf("build certificate chain: the certificate's duration %s is less than %s", o.CertificateDuration, minCertificateDuration)
	case o.CADuration < (caRenewal+1)*o.CertificateDuration:
		return nil, fmt.Errorf("build certificate chain: the authority's duration %s is less than %d times the certificate's, %s",
			o.CADuration, caRenewal+1, o.CertificateDuration)
	}
	if o.Issuer != nil {
		return []client.Object{o.serving(*o.Issuer)}, nil
	}
	selfSigned, authority := o.Name+"-selfsigned", o.Name+"-ca"
	ca := o.certificate(authority, issuerOf(selfSigned), o.CADuration, caRenewal*o.CertificateDuration)
	ca.Spec.CommonName = authority
	ca.Spec.IsCA = true
	ca.Spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageCertSign}
	return []client.Object{
		o.issuer(selfSigned, certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}}),
		ca,
		o.issuer(authority, certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: authority}}),
		o.serving(issuerOf(authority)),
	}, nil
}

// issuerOf refers to an issuer of the same namespace.
func issuerOf(name string) cmmetav1.IssuerReference {
	return cmmetav1.IssuerReference{Name: name, Kind: certmanagerv1.IssuerKind, Group: certmanagerv1.SchemeGroupVersion.Group}
}

func (o *ChainOptions) issuer(name string, config certmanagerv1.IssuerConfig) *certmanagerv1.Issuer {
	return &certmanagerv1.Issuer{
		TypeMeta:   metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: certmanagerv1.IssuerKind},
		ObjectMeta: o.metadata(name),
		Spec:       certmanagerv1.IssuerSpec{IssuerConfig: config},
	}
}

func (o *ChainOptions) serving(issuer cmmetav1.IssuerReference) *certmanagerv1.Certificate {
	serving := o.certificate(ServingName(o.Name), issuer, o.CertificateDuration, o.CertificateDuration/3)
	// This is the name that the API server verifies, whatever the cluster's domain is.
	serving.Spec.DNSNames = []string{o.Service + "." + o.Namespace + ".svc"}
	serving.Spec.IPAddresses = o.IPAddresses
	serving.Spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth}
	return serving
}

// certificate returns what the authority's and the serving certificate have in common.
func (o *ChainOptions) certificate(name string, issuer cmmetav1.IssuerReference, duration, renewBefore time.Duration) *certmanagerv1.Certificate {
	return &certmanagerv1.Certificate{
		TypeMeta:   metav1.TypeMeta{APIVersion: certmanagerv1.SchemeGroupVersion.String(), Kind: certmanagerv1.CertificateKind},
		ObjectMeta: o.metadata(name),
		Spec: certmanagerv1.CertificateSpec{
			SecretName:  name,
			Duration:    &metav1.Duration{Duration: duration},
			RenewBefore: &metav1.Duration{Duration: renewBefore},
			IssuerRef:   issuer,
			PrivateKey: &certmanagerv1.CertificatePrivateKey{
				Algorithm: certmanagerv1.ECDSAKeyAlgorithm,
				Size:      256,
				// A key that leaked is of use until the next renewal only.
				RotationPolicy: certmanagerv1.RotationPolicyAlways,
			},
			RevisionHistoryLimit: new(int32(1)),
		},
	}
}

func (o *ChainOptions) metadata(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: o.Namespace, Labels: o.Labels}
}
