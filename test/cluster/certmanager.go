package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	certManagerController = "cert-manager-controller"
	certManagerInjector   = "cert-manager-cainjector"
	// certManagerCRDs is the folder of cert-manager's CustomResourceDefinitions.
	certManagerCRDs = "crds"
	// certManagerNamespace is where cert-manager lives in a real cluster.
	certManagerNamespace = "cert-manager"
	// certManagerTimeout bounds the wait for its kinds, and for its first answer.
	// A very busy machine with two cores was seen to take more than a minute.
	certManagerTimeout = 3 * time.Minute
)

// CertManagerAssets are the paths of cert-manager's programs and kinds.
type CertManagerAssets struct {
	Controller string
	CAInjector string
	// CRDs is a folder of YAML files.
	CRDs string
}

// CertManagerBinaries is [Binaries] for cert-manager, which a cluster does
// without unless it is asked for: building it takes about five minutes, once.
func CertManagerBinaries(ctx context.Context, progress io.Writer) (CertManagerAssets, error) {
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return CertManagerAssets{}, err
	}
	c, err := certManagerComponent(b.root)
	if err != nil {
		return CertManagerAssets{}, err
	}
	dir, err := b.ensure(ctx, c)
	if err != nil {
		return CertManagerAssets{}, err
	}
	return CertManagerAssets{
		Controller: filepath.Join(dir, certManagerController),
		CAInjector: filepath.Join(dir, certManagerInjector),
		CRDs:       filepath.Join(dir, certManagerCRDs),
	}, nil
}

func certManagerComponent(root string) (component, error) {
	const path = "github.com/cert-manager/cert-manager"
	module := filepath.Join(root, "tools", "certmanager")
	version, err := requiredVersion(module, path)
	if err != nil {
		return component{}, err
	}
	return component{
		name:     "cert-manager " + version,
		folder:   "cert-manager-" + version,
		module:   module,
		sources:  []string{"."},
		packages: map[string]string{certManagerController: "."},
		ldflags:  "-s -w",
		diskGiB:  3,
		hint:     "once on this machine, about 5 minutes",
		finish: func(ctx context.Context, module, dir string) error {
			if err := os.Link(filepath.Join(dir, certManagerController), filepath.Join(dir, certManagerInjector)); err != nil {
				return fmt.Errorf("name a program: %w", err)
			}
			source, err := goCommand(ctx, module, "list", "-m", "-f", "{{.Dir}}", path)
			if err != nil {
				return fmt.Errorf("find cert-manager's kinds: %w", err)
			}
			return os.CopyFS(filepath.Join(dir, certManagerCRDs), os.DirFS(filepath.Join(source, "deploy", "crds")))
		},
	}, nil
}

// CertManager is cert-manager in a cluster.
type CertManager struct {
	// Controller issues certificates.
	Controller *Process
	// CAInjector writes authorities into webhook configurations.
	CAInjector *Process
}

// RunCertManager builds cert-manager if it is missing, teaches the cluster its
// kinds, runs its controller and its cainjector, each under its own identity,
// and returns when an issuer is served.
func (c *Cluster) RunCertManager(ctx context.Context) (*CertManager, error) {
	assets, err := CertManagerBinaries(ctx, c.options.Progress)
	if err != nil {
		return nil, err
	}
	install := [][]string{
		{"apply", "--server-side", "--force-conflicts", "--filename=" + assets.CRDs},
		{"wait", "--for=condition=Established", "--timeout=" + certManagerTimeout.String(), "--filename=" + assets.CRDs},
	}
	if err := c.kubectlEach(ctx, install); err != nil {
		return nil, fmt.Errorf("install cert-manager's kinds: %w", err)
	}
	if err := c.CreateNamespace(ctx, certManagerNamespace); err != nil {
		return nil, err
	}
	controller, controllerErr := c.runCertManager(certManagerController, assets.Controller, "cert-manager")
	injector, injectorErr := c.runCertManager(certManagerInjector, assets.CAInjector, certManagerInjector)
	if err := errors.Join(controllerErr, injectorErr); err != nil {
		return nil, err
	}
	if err := c.awaitIssuer(ctx); err != nil {
		return nil, fmt.Errorf("wait for cert-manager: %w (logs are in %s)", err, c.options.LogDir)
	}
	return &CertManager{Controller: controller, CAInjector: injector}, nil
}

// runCertManager runs a program as a service account that may do everything:
// what cert-manager's chart grants it is not what is looked at here.
func (c *Cluster) runCertManager(name, path, account string) (*Process, error) {
	kubeconfig, err := c.User("system:serviceaccount:"+certManagerNamespace+":"+account, "system:masters")
	if err != nil {
		return nil, err
	}
	return c.Run(Program{Name: name, Path: path, Args: []string{"--kubeconfig=" + kubeconfig}})
}

// probeIssuer is what the controller is asked for first.
const probeIssuer = `apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: probe
  namespace: ` + certManagerNamespace + `
spec:
  selfSigned: {}
`

// awaitIssuer creates an issuer, waits until the controller calls it ready, and
// removes it.
func (c *Cluster) awaitIssuer(ctx context.Context) error {
	file := filepath.Join(c.dir, "cert-manager-probe.yaml")
	if err := os.WriteFile(file, []byte(probeIssuer), 0o600); err != nil {
		return fmt.Errorf("write an issuer: %w", err)
	}
	return c.kubectlEach(ctx, [][]string{
		{"apply", "--filename=" + file},
		{"wait", "--for=condition=Ready", "--timeout=" + certManagerTimeout.String(), "--filename=" + file},
		{"delete", "--filename=" + file},
	})
}

// kubectlEach runs kubectl once for each list of arguments, until one fails.
func (c *Cluster) kubectlEach(ctx context.Context, runs [][]string) error {
	for _, args := range runs {
		result, err := c.Kubectl(ctx, args...)
		if err != nil {
			return err
		}
		if result.ExitCode != 0 {
			return fmt.Errorf("kubectl %s: %s", args[0], strings.TrimSpace(result.Stderr))
		}
	}
	return nil
}
