package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/certs"
)

const (
	// The two variables make the test's own binary the yardstick's server: the directory of its
	// certificate, and its port.
	yardstickDir  = "PLAINSPEC_BENCH_YARDSTICK_DIR"
	yardstickPort = "PLAINSPEC_BENCH_YARDSTICK_PORT"
	// clients is how many reviews are under way at once.
	clients = 8
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(yardstickDir); dir != "" {
		if err := serveYardstick(dir, os.Getenv(yardstickPort)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveYardstick is controller-runtime's own server with a handler that only decodes the Pod.
func serveYardstick(dir, port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: number, CertDir: dir})
	server.Register("/validate", &admission.Webhook{Handler: decodeOnly(scheme)})
	return server.Start(signals.SetupSignalHandler())
}

// BenchmarkServer measures the CPU time that a server process takes per review over HTTPS, in
// µs: the time of the client is not part of it.
func BenchmarkServer(b *testing.B) {
	dir, client, binary := build(b)
	servers := []struct {
		name   string
		server *process
	}{
		{"yardstick", startYardstick(b, dir)},
		{"plainspec", startPlainspec(b, dir, binary, "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nenforcement: enforce\n")},
	}
	for _, size := range sizes() {
		bodies := reviews(b, size.pod)
		for _, s := range servers {
			b.Run(size.name+"/"+s.name, func(b *testing.B) { load(b, client, s.server, "/validate", bodies, `"allowed":`) })
		}
	}
}

// build returns a directory with a certificate, a client that trusts it, and Plainspec's binary.
func build(b *testing.B) (dir string, client *http.Client, binary string) {
	b.Helper()
	dir = b.TempDir()
	ca, err := certs.WriteLocal(dir, certs.LocalOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	binary = filepath.Join(dir, "webhook")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "plainspec.dev/plainspec/cmd/webhook").CombinedOutput(); err != nil {
		b.Fatalf("build server: %v\n%s", err, out)
	}
	return dir, newClient(b, ca), binary
}

// load sends b.N reviews and reports the server's CPU time for each.
func load(b *testing.B, client *http.Client, server *process, path string, bodies [][]byte, want string) {
	b.Helper()
	url := "https://" + server.address + path + "?timeout=5s"
	before := cpuTime(b, server.pid)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(b.Context())
	b.ResetTimer()
	for range clients {
		group.Go(func() error {
			for {
				i := next.Add(1) - 1
				if i >= int64(b.N) {
					return nil
				}
				if err := post(ctx, client, url, bodies[i%int64(len(bodies))], want); err != nil {
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b, server.pid)-before).Microseconds())/float64(b.N), "server-cpu-µs/op")
}

func post(ctx context.Context, client *http.Client, url string, body []byte, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && !bytes.Contains(answer, []byte(want)) {
		err = fmt.Errorf("HTTP %d: %s", response.StatusCode, answer)
	}
	return err
}

func newClient(b *testing.B, ca []byte) *http.Client {
	b.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		b.Fatal("no CA")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, MaxIdleConnsPerHost: clients,
	}}
}

func freePort(b *testing.B) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return port
}

// process is a server that is measured.
type process struct {
	address string
	pid     int
}

// startYardstick starts the test's own binary as the yardstick's server.
func startYardstick(b *testing.B, dir string) *process {
	b.Helper()
	port := freePort(b)
	command := exec.CommandContext(b.Context(), os.Args[0])
	command.Env = append(os.Environ(), yardstickDir+"="+dir, yardstickPort+"="+port)
	return start(b, command, "127.0.0.1:"+port)
}

// startPlainspec starts the server with a configuration.
func startPlainspec(b *testing.B, dir, binary, config string) *process {
	b.Helper()
	file := filepath.Join(b.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	address := "127.0.0.1:" + freePort(b)
	return start(b, exec.CommandContext(b.Context(), binary, "--config", file, "--certificate-dir", dir, "--bind-address", address,
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--drain-period", "0s"), address)
}

// start runs a server until the benchmark ends.
func start(b *testing.B, command *exec.Cmd, address string) *process {
	b.Helper()
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		connection, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
		if err == nil {
			_ = connection.Close()
			return &process{address: address, pid: command.Process.Pid}
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// cpuTime is the CPU time that a process has used: fields 14 and 15 of its stat, in hundredths
// of a second (proc(5), with the kernel's USER_HZ of 100).
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skipf("the CPU time of a process is read from /proc: %v", err)
	}
	// The name in parentheses may hold spaces.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
