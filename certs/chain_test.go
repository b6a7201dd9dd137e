package certs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/certs"
)

// UPDATE_GOLDEN=1 writes testdata/chain.yaml.
func TestTheChainAsAWhole(t *testing.T) {
	t.Parallel()
	objects, err := certs.Chain(certs.ChainOptions{
		Name: "plainspec", Namespace: "plainspec-system", Service: "webhook",
		Labels: map[string]string{"app.kubernetes.io/name": "plainspec"},
	})
	if err != nil {
		t.Fatalf("Chain() error = %v", err)
	}
	var got []byte
	for _, object := range objects {
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		got = append(append(got, "---\n"...), document...)
	}
	file := filepath.Join("testdata", "chain.yaml")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func TestAnIssuerOfOnesOwnSignsTheServingCertificateAlone(t *testing.T) {
	t.Parallel()
	o := certs.ChainOptions{Name: "plainspec", Namespace: "plainspec-system", Service: "webhook"}
	own, err := certs.Chain(o)
	if err != nil {
		t.Fatalf("Chain() error = %v", err)
	}
	o.Issuer = &cmmetav1.IssuerReference{Name: "company", Kind: "ClusterIssuer"}
	got, err := certs.Chain(o)
	if err != nil {
		t.Fatalf("Chain() error = %v", err)
	}
	want := own[len(own)-1].(*certmanagerv1.Certificate) //nolint:forcetypeassert // a panic would say so
	want.Spec.IssuerRef = *o.Issuer
	if diff := cmp.Diff([]client.Object{want}, got); diff != "" {
		t.Errorf("Chain() mismatch (-want +got):\n%s", diff)
	}
}

func TestChainRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options certs.ChainOptions
		wantErr string
	}{
		"no service": {
			options: certs.ChainOptions{Name: "a", Namespace: "b"},
			wantErr: "build certificate chain: name, namespace and service are required",
		},
		"a certificate that cert-manager would refuse": {
			options: certs.ChainOptions{Name: "a", Namespace: "b", Service: "c", CertificateDuration: time.Minute},
			wantErr: "build certificate chain: the certificate's duration 1m0s is less than 1h0m0s",
		},
		"an authority that its certificates would outlive": {
			options: certs.ChainOptions{Name: "a", Namespace: "b", Service: "c", CertificateDuration: 2 * time.Hour, CADuration: 5 * time.Hour},
			wantErr: "build certificate chain: the authority's duration 5h0m0s is less than 3 times the certificate's, 2h0m0s",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := certs.Chain(tc.options)
			if err == nil {
				t.Fatal("Chain() error = nil")
			}
			if diff := cmp.Diff(tc.wantErr, err.Error()); diff != "" {
				t.Errorf("Chain() error mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
