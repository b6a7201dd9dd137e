package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"plainspec.dev/plainspec/cmd/webhook/options"
	"plainspec.dev/plainspec/internal/audit"
)

// newRecorder returns what records rejections where the flags say, and what is to run for it. Standard output is where
// "--audit-log=-" writes.
func newRecorder(ctx context.Context, o *options.Options, output io.Writer, registerer prometheus.Registerer) (*audit.Recorder, []func(context.Context) error, error) {
	log := logr.FromContextOrDiscard(ctx)
	var sinks []audit.Sink
	var runs []func(context.Context) error
	switch o.AuditLog {
	case "":
	case "-":
		sinks = append(sinks, audit.NewLog(output))
	default:
		sink, err := audit.OpenLog(o.AuditLog)
		if err != nil {
			return nil, nil, fmt.Errorf("--audit-log: %w", err)
		}
		sinks = append(sinks, sink)
	}
	if o.RejectionsNamespace != "" {
		config, err := restConfig(o.Kubeconfig)
		if err != nil {
			return nil, nil, fmt.Errorf("--rejections-namespace: %w", err)
		}
		sink, err := audit.NewRejections(audit.RejectionsOptions{
			Config: config, Namespace: o.RejectionsNamespace, Registerer: registerer, Logger: log,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("--rejections-namespace: %w", err)
		}
		sinks, runs = append(sinks, sink), append(runs, sink.Run)
	}
	recorder, err := audit.New(audit.Options{Sinks: sinks, Registerer: registerer, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	return recorder, append(runs, recorder.Run), nil
}

// restConfig says how to reach the API server: by a file, by $KUBECONFIG, or by the Pod's service account.
func restConfig(file string) (config *rest.Config, err error) {
	switch {
	case file != "":
		config, err = clientcmd.BuildConfigFromFlags("", file)
	case os.Getenv(clientcmd.RecommendedConfigPathEnvVar) != "":
		config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	default:
		if config, err = rest.InClusterConfig(); errors.Is(err, rest.ErrNotInCluster) {
			err = errors.New("how to reach it is not known: give --kubeconfig, set $KUBECONFIG, or run in a Pod with a service account")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.UserAgent = "plainspec-webhook/" + version()
	return config, nil
}
