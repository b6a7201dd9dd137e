package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/registration"
	"plainspec.dev/plainspec/internal/workload"
	"plainspec.dev/plainspec/test/cluster"
)

const (
	// patience bounds every wait: what it waits for takes seconds on an idle machine.
	patience = 2 * time.Minute
	// pollInterval is the time between two looks.
	pollInterval = 100 * time.Millisecond
)

// serverOptions say how a server differs from the shared one.
type serverOptions struct {
	// name is the value of the label judgedBy of the namespaces it judges; empty for the shared
	// server, which judges all others.
	name string
	// enforcement is observe, warn or enforce; empty means enforce.
	enforcement string
	// drain is how long reviews are still answered when the server is asked to end.
	drain time.Duration
	// policies is an overlay's folder, empty for none.
	policies string
	// policiesNamespace is the namespace whose ConfigMaps of policies it checks, empty for none.
	policiesNamespace string
	// completion is a YAML document with the configuration's member completion, empty for none.
	completion string
	// only is the one way in which the API server asks the server; empty means both.
	only door
	// namespacesOf is the name of the server whose namespaces it serves, too; empty means its own.
	namespacesOf string
	// rejections is the namespace in which Rejections are kept, and recorder the kubeconfig of who keeps them there. Empty
	// for none.
	rejections, recorder string
	// certificate is the serving certificate; hosts are filled in.
	certificate certs.LocalOptions
}

// door is a way in which the API server asks a server.
type door string

const (
	validates door = "validates"
	completes door = "completes"
)

// asks tells whether the API server is to ask through a door.
func (o *serverOptions) asks(through door) bool { return o.only == "" || o.only == through }

// judged is the value of the label judgedBy of the namespaces that the server serves.
func (o *serverOptions) judged() string { return cmp.Or(o.namespacesOf, o.name) }

// server is one process of the real program, with a registration of its own.
type server struct {
	environment *environment
	options     serverOptions
	dir         string
	address     string // of the webhook, as host:port
	probe       string // of /readyz, as host:port
	caBundle    []byte

	command *exec.Cmd // nil while it does not run
	ended   *errgroup.Group
}

// newServer prepares a server that neither runs nor is registered yet.
func (e *environment) newServer(ctx context.Context, o serverOptions) (*server, error) {
	if o.enforcement == "" {
		o.enforcement = "enforce"
	}
	s := &server{environment: e, options: o, dir: filepath.Join(e.dir, "server-"+o.name)}
	var err error
	if s.address, err = e.freeAddress(ctx); err != nil {
		return nil, err
	}
	if s.probe, err = e.freeAddress(ctx); err != nil {
		return nil, err
	}
	if err := s.certify(o.certificate); err != nil {
		return nil, err
	}
	config := "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nenforcement: " + o.enforcement + "\n" + o.completion
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return s, nil
}

// certify gives the server a new certificate, and itself the authority to register.
func (s *server) certify(o certs.LocalOptions) (err error) {
	o.Hosts = []string{"127.0.0.1"}
	s.caBundle, err = certs.WriteLocal(filepath.Join(s.dir, "certificates"), o)
	return err
}

// freeAddress finds a port below those that the kernel gives to clients, and none twice: a server
// that is started later, or again, must find its port free.
func (e *environment) freeAddress(ctx context.Context) (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 21000+e.ports.Add(1)%11000)
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("find a free port: none of 100 was free")
}

// launch runs the program and returns when it listens.
func (s *server) launch(ctx context.Context) error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	args := []string{
		s.environment.program,
		"--config=" + s.config(),
		"--certificate-dir=" + filepath.Join(s.dir, "certificates"),
		"--bind-address=" + s.address,
		"--health-probe-bind-address=" + s.probe,
		"--metrics-bind-address=0",
		"--drain-period=" + s.options.drain.String(),
		"--log-level=debug",
		"--audit-log=" + s.auditLog(),
		"--rejections-namespace=" + s.options.rejections,
		"--kubeconfig=" + s.options.recorder,
		"--policies-namespace=" + s.options.policiesNamespace,
	}
	if s.options.policies != "" {
		args = append(args, "--policies="+s.options.policies)
	}
	// It ends with the test, also if that is killed; not by an interrupt at the terminal.
	command := exec.Command(s.environment.assets.Tether, args...) //nolint:noctx // stop and kill end it
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the server: %w", err), log.Close())
	}
	s.command, s.ended = command, &errgroup.Group{}
	s.ended.Go(func() error { return errors.Join(command.Wait(), log.Close()) })
	return s.until(ctx, "the server listens", func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// start runs the program and returns when it is ready.
func (s *server) start(ctx context.Context) error {
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.until(ctx, "the server is ready", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.probe+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		return errors.Join(err, response.Body.Close())
	})
}

// stop lets the server finish, if it runs, and returns an error if it did not end well.
func (s *server) stop() error { return s.end(syscall.SIGTERM) }

// kill ends the server as a power failure would.
func (s *server) kill() { _ = s.end(syscall.SIGKILL) }

func (s *server) end(signal syscall.Signal) error {
	if s.command == nil {
		return nil
	}
	if err := s.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the server: %w", err)
	}
	s.command = nil
	if err := s.ended.Wait(); err != nil {
		return fmt.Errorf("end the server: %w; it said: %s", err, s.lastWords())
	}
	return nil
}

// config is the path of the server's configuration.
func (s *server) config() string { return filepath.Join(s.dir, "config.yaml") }

func (s *server) logPath() string { return filepath.Join(s.dir, "server.log") }

// auditLog is the path of the server's records.
func (s *server) auditLog() string { return filepath.Join(s.dir, "rejections.log") }

// lastWords is the last line that the server logged.
func (s *server) lastWords() string {
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(log))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// register makes the API server ask this server, and returns when it does. For a server that cannot
// answer, use apply.
func (s *server) register(ctx context.Context) error {
	if err := s.apply(ctx); err != nil {
		return err
	}
	namespace := metav1.NamespaceDefault
	if s.options.name != "" {
		namespace = s.options.name + "-probe"
		if err := s.environment.createNamespace(ctx, namespace, s.options.judged()); err != nil {
			return err
		}
	}
	// The API server looks at registrations about once a second. That it asks for judgement is seen in
	// the server's log, whatever the enforcement, and that it asks for completion in the audit log.
	judged := s.reviews()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Annotations: map[string]string{workload.AnnotationPrefix + "probe": "asks for nothing"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "example.com/probe:1.0.0"}}},
	}
	return s.until(ctx, "the API server asks the server", func(ctx context.Context) error {
		_, err := s.environment.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case err != nil:
			return err
		case s.options.asks(validates) && s.reviews() == judged:
			return errors.New("admitted without asking")
		case s.options.asks(completes) && !s.askedToComplete():
			return errors.New("admitted without asking for completion")
		}
		return nil
	})
}

// askedToComplete tells whether the API server says that it has asked the server to complete.
func (s *server) askedToComplete() bool {
	log, err := os.ReadFile(s.environment.auditLog)
	return err == nil && strings.Contains(string(log), fmt.Sprintf(`{\"configuration\":\"%s\",\"webhook\":\"%s\"`, s.registration(), registration.RootsCompleteWebhook))
}

// reviews counts the requests that the server has logged.
func (s *server) reviews() int { return s.logged(`"msg":"admitted"`) }

// logged counts how often the server has logged a text.
func (s *server) logged(text string) int {
	log, err := os.ReadFile(s.logPath())
	if err != nil {
		return 0
	}
	return strings.Count(string(log), text)
}

// registration is the name of the server's webhook configurations.
func (s *server) registration() string {
	if s.options.name == "" {
		return registration.Name
	}
	return registration.Name + "-" + s.options.name
}

// apply writes the registrations as they are shipped, restricted to this server's namespaces.
func (s *server) apply(ctx context.Context) error {
	var config struct{ Completion v1alpha1.Completion }
	if err := yaml.Unmarshal([]byte(s.options.completion), &config); err != nil {
		return fmt.Errorf("read completion: %w", err)
	}
	options := registration.Options{
		URL: "https://" + s.address, CABundle: s.caBundle, ExemptNamespaces: []string{metav1.NamespaceSystem},
		CompleteAll: config.Completion.ConcernsAll(), CompletePods: config.Completion.ConcernsPods(), Namespace: s.options.policiesNamespace,
	}
	api := s.environment.client.AdmissionregistrationV1()
	if s.options.asks(validates) {
		wanted := registration.Validating(options)
		wanted.Name = s.registration()
		for i := range wanted.Webhooks {
			s.restrict(&wanted.Webhooks[i].NamespaceSelector)
		}
		if err := cluster.Put(ctx, api.ValidatingWebhookConfigurations(), wanted); err != nil {
			return err
		}
	}
	if s.options.asks(completes) {
		wanted := registration.Mutating(options)
		wanted.Name = s.registration()
		for i := range wanted.Webhooks {
			s.restrict(&wanted.Webhooks[i].NamespaceSelector)
		}
		return cluster.Put(ctx, api.MutatingWebhookConfigurations(), wanted)
	}
	return nil
}

// restrict adds to a webhook's selector that the namespace is one of the server's.
func (s *server) restrict(selector **metav1.LabelSelector) {
	mine := metav1.LabelSelectorRequirement{Key: judgedBy, Operator: metav1.LabelSelectorOpDoesNotExist}
	if s.options.name != "" {
		mine = metav1.LabelSelectorRequirement{Key: judgedBy, Operator: metav1.LabelSelectorOpIn, Values: []string{s.options.judged()}}
	}
	*selector = (*selector).DeepCopy() // the webhooks share one
	(*selector).MatchExpressions = append((*selector).MatchExpressions, mine)
}

// until waits for something to be no error.
func (s *server) until(ctx context.Context, what string, is func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		last = is(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s: %w: %w; it said: %s", what, err, last, s.lastWords())
	}
	return nil
}
