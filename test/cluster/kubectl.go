package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// KubectlCommand is one run of the real kubectl.
type KubectlCommand struct {
	// Path is the program.
	Path string
	// Kubeconfig is the path of the file that says where the cluster is and
	// who is asking.
	Kubeconfig string
	// Dir is the working directory; empty means this process's. File names in
	// Args are relative to it.
	Dir string
	// Stdin is what kubectl reads with "-f -"; nil means nothing.
	Stdin io.Reader
	// Args follow the program's name.
	Args []string
}

// KubectlResult is what kubectl answered.
type KubectlResult struct {
	Stdout string
	Stderr string
	// ExitCode is 0 if kubectl says that it did what it was asked.
	ExitCode int
}

// Run runs kubectl. An error means that it could not be run; that the server
// refused is said by the result's exit code. The user's own kubectl settings
// and caches are neither read nor written.
func (k KubectlCommand) Run(ctx context.Context) (KubectlResult, error) {
	cmd := exec.CommandContext(ctx, k.Path, k.Args...)
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+k.Kubeconfig,
		"KUBERC=off",
		// Discovery is remembered by address: another cluster may have had
		// the same port.
		"KUBECACHEDIR="+filepath.Join(filepath.Dir(k.Kubeconfig), "kubectl-cache"),
	)
	cmd.Dir, cmd.Stdin = k.Dir, k.Stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return KubectlResult{}, fmt.Errorf("run kubectl: %w", err)
	}
	return KubectlResult{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode()}, nil
}

// Kubectl runs the real kubectl as administrator.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (KubectlResult, error) {
	return c.KubectlStdin(ctx, nil, args...)
}

// KubectlStdin is [Cluster.Kubectl] with something to read for "-f -".
func (c *Cluster) KubectlStdin(ctx context.Context, stdin io.Reader, args ...string) (KubectlResult, error) {
	return KubectlCommand{Path: c.assets.Kubectl, Kubeconfig: c.kubeconfig, Stdin: stdin, Args: args}.Run(ctx)
}

// KubectlAs is [Cluster.KubectlStdin] as the user of a kubeconfig file, such as
// [Cluster.User] returns.
func (c *Cluster) KubectlAs(ctx context.Context, kubeconfig string, stdin io.Reader, args ...string) (KubectlResult, error) {
	return KubectlCommand{Path: c.assets.Kubectl, Kubeconfig: kubeconfig, Stdin: stdin, Args: args}.Run(ctx)
}
