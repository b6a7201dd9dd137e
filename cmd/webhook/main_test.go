package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"plainspec.dev/plainspec/certs"
)

// asServer is set in the environment of a test binary that is to be the server.
const asServer = "PLAINSPEC_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	m.Run()
}

// command returns a server process that has not started.
func command(t *testing.T, args ...string) (process *exec.Cmd, stderr *strings.Builder) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process = exec.CommandContext(t.Context(), executable, args...)
	process.Env = append(os.Environ(), asServer+"=1", "KUBECONFIG=", "KUBERNETES_SERVICE_HOST=") // no cluster is near
	stderr = &strings.Builder{}
	process.Stderr = stderr
	return process, stderr
}

// certificates returns a directory with a certificate for 127.0.0.1, and a client that trusts it.
func certificates(t *testing.T, notAfter time.Time) (dir string, client *http.Client) {
	t.Helper()
	dir = t.TempDir()
	caBundle, err := certs.WriteLocal(dir, certs.LocalOptions{Hosts: []string{"127.0.0.1"}, NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter})
	if err != nil {
		t.Fatalf("certs.WriteLocal() error = %v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caBundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return dir, &http.Client{Transport: transport}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const header = "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\n"

func TestWhatCannotServeEndsWithOneLine(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	valid, _ := certificates(t, time.Now().Add(time.Hour))

	tests := map[string]struct {
		args []string
		file string // Written to DIR/config.yaml.
		rego string // Written to DIR/policies/rules/image/broken/broken.rego.
		want string // DIR stands for the test's directory.
	}{
		"an unknown flag": {
			args: []string{"--prot=1"},
			want: "error: unknown flag: --prot\n",
		},
		"an argument": {
			args: []string{"serve"},
			want: "error: unknown command \"serve\" for \"webhook\"\n",
		},
		"flags that cannot be used": {
			args: []string{"--max-in-flight=0", "--log-level=trace"},
			want: "error: --max-in-flight: 0 is less than 1; --log-level: \"trace\" is neither info nor debug\n",
		},
		"a missing configuration file": {
			args: []string{"--config=DIR/none.yaml"},
			want: "error: load configuration: open DIR/none.yaml: no such file or directory\n",
		},
		"an audit log that cannot be opened": {
			args: []string{"--audit-log=DIR/none/audit.log"},
			want: "error: --audit-log: open audit log: open DIR/none/audit.log: no such file or directory\n",
		},
		"rejections without a cluster": {
			args: []string{"--rejections-namespace=plainspec-system"},
			want: "error: --rejections-namespace: find the API server: how to reach it is not known: give --kubeconfig, set $KUBECONFIG, or run in a Pod with a service account\n",
		},
		"rejections with a missing kubeconfig": {
			args: []string{"--rejections-namespace=plainspec-system", "--kubeconfig=DIR/none"},
			want: "error: --rejections-namespace: find the API server: stat DIR/none: no such file or directory\n",
		},
		"a configuration file with a typo": {
			args: []string{"--config=DIR/config.yaml"},
			file: header + "enforcment: enforce\n",
			want: "error: load configuration DIR/config.yaml: unknown field \"enforcment\"\n",
		},
		"a parameter that no policy knows": {
			args: []string{"--config=DIR/config.yaml"},
			file: header + "parameters: {moving_tagz: []}\n",
			want: "error: load policies: parameter \"moving_tagz\" is unknown: known are ",
		},
		"a mode for a rule that is not loaded": {
			args: []string{"--config=DIR/config.yaml"},
			file: header + "rules: {image.moving_tagz: {mode: audit}}\n",
			want: "error: apply configuration DIR/config.yaml: rules[\"image.moving_tagz\"]: no such rule, known are ",
		},
		"a policy with a syntax error": {
			args: []string{"--policies=DIR/policies"},
			rego: "package policies.rules.image.broken\n\nfindings contains {\"field\": x} if {\n",
			want: "error: policies with DIR/policies: load policies: rules/image/broken/broken.rego:4:0: rego_parse_error: unexpected eof token",
		},
		"a policy with a type error": {
			args: []string{"--policies=DIR/policies"},
			rego: "package policies.rules.image.broken\n\nfindings contains {\"field\": x} if {\n\tx := input.workload.nonsense\n}\n",
			want: "error: policies with DIR/policies: compile policies: rules/image/broken/broken.rego:4:7: rego_type_error: undefined ref: input.workload.nonsense",
		},
		"a missing certificate": {
			args: []string{"--certificate-dir=DIR/none"},
			want: "error: load serving certificate: DIR/none/tls.crt does not exist: put tls.crt and tls.key into DIR/none, or choose another directory with --certificate-dir\n",
		},
		"a port that is taken": {
			args: []string{"--certificate-dir=" + valid, "--bind-address=" + taken.Addr().String()},
			want: "error: listen on " + taken.Addr().String() + ": address already in use: choose another address with --bind-address\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "config.yaml"), tc.file)
			writeFile(t, filepath.Join(dir, "policies", "rules", "image", "broken", "broken.rego"), tc.rego)
			args := make([]string, 0, len(tc.args))
			for _, arg := range tc.args {
				args = append(args, strings.ReplaceAll(arg, "DIR", dir))
			}
			process, stderr := command(t, args...)
			err := process.Run()
			if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("exit: %v, want status 1", err)
			}
			got := strings.ReplaceAll(stderr.String(), dir, "DIR")
			if strings.HasSuffix(tc.want, "\n") && got != tc.want || !strings.HasPrefix(got, tc.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("stderr = %q, want the one line %q", got, tc.want)
			}
		})
	}
}

// running is a server process that listens.
type running struct {
	t         *testing.T
	process   *exec.Cmd
	stderr    *strings.Builder
	addresses map[string]string // By endpoint, from the log.
	lines     []map[string]any  // The log so far.
	scanner   *bufio.Scanner
}

// launch starts a server on free ports and waits until it serves.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	process, stderr := command(t, append([]string{
		"--bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0",
	}, args...)...)
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, process: process, stderr: stderr, addresses: map[string]string{}, scanner: bufio.NewScanner(stdout)}
	t.Cleanup(func() { _ = process.Process.Kill() }) // Has ended already unless the test failed.
	for len(r.addresses) < 3 {
		r.next()
	}
	return r
}

// next reads one line of the log.
func (r *running) next() map[string]any {
	r.t.Helper()
	if !r.scanner.Scan() {
		r.t.Fatalf("the log ended after %v; stderr: %s", r.lines, r.stderr)
	}
	line := map[string]any{}
	if err := json.Unmarshal(r.scanner.Bytes(), &line); err != nil {
		r.t.Fatalf("log line %q: %v", r.scanner.Text(), err)
	}
	r.lines = append(r.lines, line)
	if line["msg"] == "serving" {
		r.addresses[fmt.Sprint(line["endpoint"])] = fmt.Sprint(line["address"])
	}
	return line
}

// until reads the log up to a message.
func (r *running) until(message string) map[string]any {
	r.t.Helper()
	for {
		if line := r.next(); line["msg"] == message {
			return line
		}
	}
}

func (r *running) terminate() {
	r.t.Helper()
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
}

// end waits for the process and returns its exit code.
func (r *running) end() int {
	r.t.Helper()
	for r.scanner.Scan() { // Wait must not close the pipe before the log is read.
	}
	err := r.process.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("wait for the server: %v", err)
	}
	return r.process.ProcessState.ExitCode()
}

func (r *running) request(client *http.Client, method, url, body string) (int, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	return response.StatusCode, string(answer)
}

const review = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
	"uid": "4b5c", "operation": "CREATE", "namespace": "shop", "name": "web",
	"kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
	"userInfo": {"username": "jane"},
	"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
		"spec": {"containers": [{"name": "web", "image": "nginx"}]}}}}`

func TestTheServerJudgesAndStops(t *testing.T) {
	t.Parallel()
	dir, client := certificates(t, time.Now().Add(time.Hour))
	config := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, config, header+"enforcement: enforce\ncontact: \"Questions: #platform on chat\"\n")
	r := launch(t, "--config="+config, "--certificate-dir="+dir, "--drain-period=10ms")

	code, body := r.request(client, http.MethodPost, "https://"+r.addresses["reviews"]+"/validate?timeout=10s", review)
	var answer struct {
		Response struct {
			UID     string `json:"uid"`
			Allowed bool   `json:"allowed"`
			Status  struct {
				Message string `json:"message"`
			} `json:"status"`
		} `json:"response"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("answer %d %q: %v", code, body, err)
	}
	got := answer.Response
	if got.UID != "4b5c" || got.Allowed || !strings.Contains(got.Status.Message, "image.no_version") ||
		!strings.HasSuffix(got.Status.Message, "Questions: #platform on chat") {
		t.Errorf("answer = %s, want a denial by image.no_version that ends with the contact", body)
	}

	if code, body := r.request(http.DefaultClient, http.MethodGet, "http://"+r.addresses["probes"]+"/readyz?verbose", ""); code != http.StatusOK {
		t.Errorf("/readyz = %d %s", code, body)
	}
	_, metrics := r.request(http.DefaultClient, http.MethodGet, "http://"+r.addresses["metrics"]+"/metrics", "")
	for _, want := range []string{
		`plainspec_policy_revision_info{revision="`, `plainspec_certificate_days_left{certificate="leaf"} `,
		"plainspec_http_requests_in_flight ", "plainspec_http_request_duration_seconds_bucket{", "go_goroutines ", "process_open_fds ",
		`plainspec_findings_total{mode="deny",rule="image.no_version"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}

	r.terminate()
	if code := r.end(); code != 0 || r.stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q; want 0 and nothing", code, r.stderr)
	}
}

// asking is a review of a Pod that asks for an artifact.
const asking = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
	"uid": "5c6d", "operation": "CREATE", "namespace": "shop", "name": "web",
	"kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
	"userInfo": {"username": "jane"},
	"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "annotations": {"plainspec.dev/artifact": "shop/web:1.2.3"}},
		"spec": {"containers": [{"name": "web", "image": "tomcat:9.0.98"}]}}}}`

func TestTheServerCompletes(t *testing.T) {
	t.Parallel()
	dir, client := certificates(t, time.Now().Add(time.Hour))
	config := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, config, header+`completion:
  profiles:
  - {name: tomcat, match: {servers: [tomcat]}, source: /app.war, target: /usr/local/tomcat/webapps, hideTarget: true}
`)
	r := launch(t, "--config="+config, "--certificate-dir="+dir, "--drain-period=10ms")
	code, body := r.request(client, http.MethodPost, "https://"+r.addresses["reviews"]+"/mutate?timeout=10s", asking)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Response == nil {
		t.Fatalf("answer %d %q: %v", code, body, err)
	}
	got := answer.Response
	if got.UID != "5c6d" || !got.Allowed || len(got.Warnings) > 0 || !strings.Contains(string(got.Patch), `"image":"shop/web:1.2.3"`) {
		t.Errorf("answer = %s with patch %s, want one that adds the artifact", body, got.Patch)
	}
	revision := ""
	for _, line := range r.lines {
		if line["msg"] == "starting" {
			revision = fmt.Sprint(line["completion"])
		}
	}
	if revision == "" || got.AuditAnnotations["revision"] != revision || got.AuditAnnotations["completed"] != "inject" {
		t.Errorf("audit annotations are %v, want those of revision %q, which the server has logged", got.AuditAnnotations, revision)
	}
	_, metrics := r.request(http.DefaultClient, http.MethodGet, "http://"+r.addresses["metrics"]+"/metrics", "")
	for _, want := range []string{
		`plainspec_completion_revision_info{revision="` + revision + `"} 1`, `plainspec_completions_total{outcome="completed",what="inject"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
	r.terminate()
	if code := r.end(); code != 0 || r.stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q; want 0 and nothing", code, r.stderr)
	}
}

// TestAnOverloadRefusesNothingThatIsToBeCompleted holds the only slot by a review that does not end.
func TestAnOverloadRefusesNothingThatIsToBeCompleted(t *testing.T) {
	t.Parallel()
	dir, client := certificates(t, time.Now().Add(time.Hour))
	r := launch(t, "--certificate-dir="+dir, "--drain-period=10ms", "--max-in-flight=1")
	reviews := "https://" + r.addresses["reviews"]
	rest, unfinished := io.Pipe()
	body := io.MultiReader(strings.NewReader(strings.Repeat(" ", 8<<10)), rest) // enough to be sent at once
	endless, err := http.NewRequestWithContext(t.Context(), http.MethodPost, reviews+"/validate?timeout=30s", body)
	if err != nil {
		t.Fatal(err)
	}
	endless.Header.Set("Content-Type", "application/json")
	var left sync.WaitGroup
	left.Go(func() {
		if response, err := client.Do(endless); err == nil {
			_ = response.Body.Close()
		}
	})
	t.Cleanup(left.Wait)
	t.Cleanup(func() { _ = unfinished.Close() })
	for handled := false; !handled; time.Sleep(10 * time.Millisecond) {
		_, metrics := r.request(http.DefaultClient, http.MethodGet, "http://"+r.addresses["metrics"]+"/metrics", "")
		handled = strings.Contains(metrics, "plainspec_http_requests_in_flight 1\n")
	}
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/mutate":   {http.StatusOK, `"uid":"5c6d","allowed":true,"status":{"metadata":{},"code":200},"warnings":["plainspec: not completed: too many reviews under way"]`},
		"/validate": {http.StatusServiceUnavailable, "Plainspec could not decide, retry: too many reviews under way"},
	} {
		if code, body := r.request(client, http.MethodPost, reviews+path+"?timeout=1s", asking); code != want.code || !strings.Contains(body, want.text) {
			t.Errorf("%s answers %d %s, want %d with %s", path, code, body, want.code, want.text)
		}
	}
	_ = unfinished.Close()
	r.terminate()
	if code := r.end(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestAnExpiredCertificateIsLoggedAndNotReady(t *testing.T) {
	t.Parallel()
	dir, _ := certificates(t, time.Now().Add(-time.Hour))
	r := launch(t, "--certificate-dir="+dir, "--drain-period=0s")
	code, body := r.request(http.DefaultClient, http.MethodGet, "http://"+r.addresses["probes"]+"/readyz", "")
	if code != http.StatusInternalServerError || !strings.Contains(body, "[-]certificate failed") {
		t.Errorf("/readyz = %d %s, want a failed certificate", code, body)
	}
	r.terminate()
	r.until("stopped")
	logged := map[string]any{}
	for _, line := range r.lines {
		if line["msg"] == "unusable serving certificate loaded" {
			logged = line
		}
	}
	if !strings.HasPrefix(fmt.Sprint(logged["err"]), "serving certificate expired at ") || logged["level"] != "ERROR" {
		t.Errorf("log = %v, want an error about the expired certificate", r.lines)
	}
	if code := r.end(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestASecondSignalEndsTheDrain(t *testing.T) {
	t.Parallel()
	dir, _ := certificates(t, time.Now().Add(time.Hour))
	r := launch(t, "--certificate-dir="+dir, "--drain-period=1h")
	r.terminate()
	if diff := cmp.Diff("1h0m0s", r.until("draining")["period"]); diff != "" {
		t.Errorf("drain period mismatch (-want +got):\n%s", diff)
	}
	r.terminate()
	if code := r.end(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
