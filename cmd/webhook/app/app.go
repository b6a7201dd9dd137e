// Package app wires the server process: it reads flags and files, loads the policies and starts what answers.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/cmd/webhook/options"
	"plainspec.dev/plainspec/internal/assemble"
	"plainspec.dev/plainspec/internal/audit"
	"plainspec.dev/plainspec/internal/registration"
	"plainspec.dev/plainspec/internal/server"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
)

// gcPercent lets the heap grow to three times what is in use before it is collected: a review is
// short-lived garbage, and this takes a tenth to a fifth of its CPU time off for some 20 MiB
// (docs/performance.md). The environment's GOGC goes first.
const gcPercent = 200

// memoryShare is how much of its container's memory limit Go may take before the collector works harder, instead of the
// kernel ending the process; the rest is for what Go does not count. The environment's GOMEMLIMIT goes first.
const memoryShare = 0.9

// NewCommand returns the command of the server. It serves until its context ends, logs to its standard output, and
// returns errors of one line.
func NewCommand() *cobra.Command {
	o := options.New()
	command := &cobra.Command{
		Use:     "webhook",
		Short:   "Serve the Plainspec admission webhook",
		Version: version(),
		Args:    cobra.NoArgs,
		// A usage text would hide the one line that says what went wrong; main prints that line.
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			o.Complete()
			if err := o.Validate(); err != nil {
				return oneLine(err)
			}
			log := o.Logger(command.OutOrStdout())
			ctrllog.SetLogger(log) // For controller-runtime's own packages.
			return oneLine(run(ctrllog.IntoContext(command.Context(), log), o, command.OutOrStdout(), metrics.Registry))
		},
	}
	o.AddFlags(command.Flags())
	return command
}

// run serves until ctx ends. The output is the standard one.
func run(ctx context.Context, o *options.Options, output io.Writer, registry metrics.RegistererGatherer) error {
	log := logr.FromContextOrDiscard(ctx)
	tuneCollector(log)
	config, err := loadConfig(o.Config)
	if err != nil {
		return err
	}
	reviewer, err := assemble.Reviewer(ctx, assemble.Options{Config: config, ConfigFile: o.Config, Policies: o.Policies})
	if err != nil {
		return err
	}
	recorder, recording, err := newRecorder(ctx, o, output, registry)
	if err != nil {
		return err
	}
	checker := &assemble.PolicyChecker{Config: config, ConfigFile: o.Config}
	handler, overloaded, err := newHandlers(o, reviewer, recorder, checker, registry)
	if err != nil {
		return err
	}
	certificates, err := newCertificates(o, log, registry)
	if err != nil {
		return err
	}
	if err := registerProcessMetrics(registry, reviewer); err != nil {
		return fmt.Errorf("register process metrics: %w", err)
	}
	// The set is loaded before the server listens, and never unloaded.
	checks := map[string]func() error{"policies": func() error { return nil }}
	maps.Copy(checks, certificates.checks)
	s, err := server.New(server.Options{
		BindAddress:        o.BindAddress,
		MetricsBindAddress: o.MetricsBindAddress,
		ProbeBindAddress:   o.ProbeBindAddress,
		DrainPeriod:        o.DrainPeriod,
		MaxInFlight:        o.MaxInFlight,
		Handler:            handler,
		Overloaded:         overloaded,
		Certificates:       certificates.watcher,
		Checks:             checks,
		Logger:             log,
		Registry:           registry,
	})
	if err != nil {
		return err
	}
	if err := s.Listen(ctx); err != nil {
		return err
	}
	log.Info("starting", "version", version(), "enforcement", config.Enforcement, "revision", reviewer.Set().Revision(),
		"rules", len(reviewer.Set().Rules()), "completion", reviewer.CompletionRevision())
	return serve(ctx, s, append(recording, certificates.runs...))
}

// tuneCollector says when garbage is collected.
func tuneCollector(log logr.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if _, err := memlimit.Set(memlimit.WithRatio(memoryShare)); err != nil {
		log.Info("the container's memory limit is not known", "reason", err.Error())
	}
}

// serve runs the server, and what it needs beside it; the end of any ends all.
func serve(ctx context.Context, s *server.Server, needed []func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	// What the server needs ends when the drain is over and not when it begins: a drain may outlast a certificate, and what
	// is refused during it is recorded.
	serving, served := context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range needed {
		group.Go(func() error { return run(serving) })
	}
	group.Go(func() error {
		defer served()
		return s.Run(ctx)
	})
	return group.Wait()
}

func loadConfig(path string) (*v1alpha1.Configuration, error) {
	if path == "" {
		return v1alpha1.Default(), nil
	}
	return v1alpha1.Load(path)
}

// newHandlers returns the handler of all paths that the API server calls, and what answers them when too many reviews
// are under way.
func newHandlers(
	o *options.Options, reviewer *validate.Reviewer, recorder *audit.Recorder, checker webhook.PolicyChecker, registerer prometheus.Registerer,
) (handler, overloaded http.Handler, err error) {
	validator, err := webhook.NewValidator(webhook.ValidatorOptions{Reviewer: reviewer, Recorder: recorder, Registerer: registerer})
	if err != nil {
		return nil, nil, err
	}
	completer, err := webhook.NewCompleter(webhook.CompleterOptions{
		Completion: reviewer, Revision: reviewer.CompletionRevision(), Registerer: registerer,
	})
	if err != nil {
		return nil, nil, err
	}
	byPath := map[string]*webhook.Handler{
		registration.ValidatePath:   webhook.NewHandler(validator),
		registration.BreakGlassPath: webhook.NewHandler(validator.BreakGlass()),
		registration.MutatePath:     webhook.NewOpenHandler(completer),
	}
	if o.PoliciesNamespace != "" {
		policies, err := webhook.NewPolicies(webhook.PoliciesOptions{Checker: checker, Namespace: o.PoliciesNamespace, Registerer: registerer})
		if err != nil {
			return nil, nil, err
		}
		// What it does not answer is admitted by the failure policy of its registration, like what it cannot decide.
		byPath[registration.PoliciesPath] = webhook.NewHandler(policies)
	}
	handlers, overloads := http.NewServeMux(), http.NewServeMux()
	for path, h := range byPath {
		handlers.Handle(path, h)
		overloads.HandleFunc(path, h.Overloaded)
	}
	return handlers, overloads, nil
}

// registerProcessMetrics adds what describes the process: its revisions, its memory and its threads.
func registerProcessMetrics(registerer prometheus.Registerer, reviewer *validate.Reviewer) error {
	policies := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "plainspec_policy_revision_info",
		Help: "The revision of the policies that judge: always 1, the revision is the label.",
	}, []string{"revision"})
	policies.WithLabelValues(reviewer.Set().Revision()).Set(1)
	completion := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "plainspec_completion_revision_info",
		Help: "The revision of the configuration that completes: always 1, the revision is the label.",
	}, []string{"revision"})
	completion.WithLabelValues(reviewer.CompletionRevision()).Set(1)
	for _, collector := range []prometheus.Collector{
		policies,
		completion,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		// Packages of controller-runtime add the last two to its registry too.
		if err := registerer.Register(collector); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
			return err
		}
	}
	return nil
}

// version returns what the go command recorded of the source: a tag, or a pseudo-version of the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

// oneLine folds an error's text into one line, since a supervisor shows only the last one.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		// Under a line of Rego, a caret marks a column that the message has already named.
		if line = strings.TrimSpace(line); strings.Trim(line, "^") != "" {
			lines = append(lines, line)
		}
	}
	return errors.New(strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": "))
}
