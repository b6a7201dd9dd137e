// Package options holds the flags of the server process. How Plainspec judges is not among them: that is the
// configuration file's (api/config).
package options

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"plainspec.dev/plainspec/internal/server"
)

// Formats and levels of the log.
const (
	formatJSON = "json"
	formatText = "text"
	levelInfo  = "info"
	levelDebug = "debug"
)

// Options are the values of the flags. Complete and Validate them before use.
type Options struct {
	// Config is the path of the configuration file. Empty: its defaults, which only observe.
	Config string
	// Policies is a directory whose files are added to the built-in policy library, replacing those of the same path.
	// Empty: the library alone.
	Policies string
	// PoliciesNamespace is the namespace whose ConfigMaps of policies are checked before they are stored. Empty: none are.
	PoliciesNamespace string
	// BindAddress is the host:port of the webhook, over TLS.
	BindAddress string
	// CertificateDir is the directory of tls.crt and tls.key.
	CertificateDir string
	// MetricsBindAddress is the host:port of /metrics, or "0" for none.
	MetricsBindAddress string
	// ProbeBindAddress is the host:port of /healthz and /readyz, or "0" for none.
	ProbeBindAddress string
	// DrainPeriod is how long new reviews are answered after a signal to stop.
	DrainPeriod time.Duration
	// MaxInFlight is how many reviews are handled at once.
	MaxInFlight int
	// AuditLog is the file that gets a line of JSON for each record of a rejection: "-" is the standard output, empty none.
	AuditLog string
	// RejectionsNamespace is the namespace in which Rejections are kept. Empty: none are.
	RejectionsNamespace string
	// WebhookConfiguration is the name of the webhook configurations that ask this server: it is not ready before their
	// CA bundles sign its certificate. Empty: nothing is compared.
	WebhookConfiguration string
	// Kubeconfig is a file that says how to reach the API server. Empty: $KUBECONFIG, or the Pod's service account.
	// The API server is only asked for what RejectionsNamespace and WebhookConfiguration want.
	Kubeconfig string
	// LogFormat is json or text.
	LogFormat string
	// LogLevel is info or debug.
	LogLevel string
}

// New returns the defaults.
func New() *Options {
	return &Options{
		BindAddress:        ":9443",
		CertificateDir:     "/etc/plainspec/certificates",
		MetricsBindAddress: ":8080",
		ProbeBindAddress:   ":8081",
		// Twice what it takes until the API server's kube-proxy has dropped an endpoint that is not ready.
		DrainPeriod: 10 * time.Second,
		// A review is computation: more at once than processors gains little, but one whose body arrives slowly must
		// not hold up the others. The bodies in memory are bounded by it too: 32 of at most 7 MiB.
		MaxInFlight: 32,
		AuditLog:    "-",
		LogFormat:   formatJSON,
		LogLevel:    levelInfo,
	}
}

// AddFlags registers the flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Config, "config", o.Config, "configuration `file`; without one, Plainspec only observes")
	flags.StringVar(&o.Policies, "policies", o.Policies, "`directory` of policies added to the built-in ones")
	flags.StringVar(&o.PoliciesNamespace, "policies-namespace", o.PoliciesNamespace,
		"`namespace` whose ConfigMaps of policies are checked before they are stored, empty for none")
	flags.StringVar(&o.BindAddress, "bind-address", o.BindAddress, "`host:port` of the webhook")
	flags.StringVar(&o.CertificateDir, "certificate-dir", o.CertificateDir, "`directory` of tls.crt and tls.key")
	flags.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress, "`host:port` of the metrics, 0 for none")
	flags.StringVar(&o.ProbeBindAddress, "health-probe-bind-address", o.ProbeBindAddress, "`host:port` of the probes, 0 for none")
	flags.DurationVar(&o.DrainPeriod, "drain-period", o.DrainPeriod, "how long new reviews are answered after a signal to stop")
	flags.IntVar(&o.MaxInFlight, "max-in-flight", o.MaxInFlight, "how many reviews are handled at once; more wait")
	flags.StringVar(&o.AuditLog, "audit-log", o.AuditLog, "`file` of the records of rejections, as lines of JSON; - for the standard output, empty for none")
	flags.StringVar(&o.RejectionsNamespace, "rejections-namespace", o.RejectionsNamespace, "`namespace` in which Rejections are kept, empty for none")
	flags.StringVar(&o.WebhookConfiguration, "webhook-configuration", o.WebhookConfiguration,
		"`name` of the webhook configurations whose CA must sign the certificate before the server is ready, empty to compare nothing")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "`file` that says how to reach the API server; without one, $KUBECONFIG or the Pod's service account")
	flags.StringVar(&o.LogFormat, "log-format", o.LogFormat, "`format` of the log: json or text")
	flags.StringVar(&o.LogLevel, "log-level", o.LogLevel, "`level` of the log: info or debug")
}

// Complete fills what was switched off with an empty value.
func (o *Options) Complete() {
	if o.MetricsBindAddress == "" {
		o.MetricsBindAddress = server.Off
	}
	if o.ProbeBindAddress == "" {
		o.ProbeBindAddress = server.Off
	}
}

// Validate returns one error for all flags that cannot be used, each with its name..
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	checkAddress := func(flag, address string, mayBeOff bool) {
		if mayBeOff && address == server.Off {
			return
		}
		_, port, err := net.SplitHostPort(address)
		check(err == nil && port != "", "%s: %q is not host:port", flag, address)
	}
	checkAddress("--bind-address", o.BindAddress, false)
	checkAddress("--metrics-bind-address", o.MetricsBindAddress, true)
	checkAddress("--health-probe-bind-address", o.ProbeBindAddress, true)
	check(o.CertificateDir != "", "--certificate-dir: must not be empty")
	check(o.DrainPeriod >= 0, "--drain-period: %s is negative", o.DrainPeriod)
	check(o.MaxInFlight >= 1, "--max-in-flight: %d is less than 1", o.MaxInFlight)
	check(o.LogFormat == formatJSON || o.LogFormat == formatText, "--log-format: %q is neither json nor text", o.LogFormat)
	check(o.LogLevel == levelInfo || o.LogLevel == levelDebug, "--log-level: %q is neither info nor debug", o.LogLevel)
	if o.Policies != "" {
		info, err := os.Stat(o.Policies)
		check(err == nil && info.IsDir(), "--policies: %q is not a directory", o.Policies)
	}
	return errors.Join(errs...)
}

// Logger returns a logger that writes to w as the flags say.
func (o *Options) Logger(w io.Writer) logr.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: nameLevel}
	if o.LogLevel == levelDebug {
		options.Level = slog.Level(-1) // V(1) of logr; libraries say more in V(2) and beyond than anybody reads.
	}
	if o.LogFormat == formatText {
		return logr.FromSlogHandler(slog.NewTextHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
}

// nameLevel calls V(1) of logr, for which slog would print DEBUG+3, what the flag calls it.
func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level < slog.LevelInfo {
		a.Value = slog.StringValue(slog.LevelDebug.String())
	}
	return a
}
