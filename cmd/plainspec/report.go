package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // whatever a kubeconfig asks for to log in
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// clusterFlags say which cluster is read, as whom, and where Plainspec lives in it.
type clusterFlags struct {
	config *genericclioptions.ConfigFlags
	// home is Plainspec's own namespace.
	home string
}

// newClusterFlags returns kubectl's flags but for --namespace and --user, which filter here, and what
// makes no difference to the few requests of a report.
func newClusterFlags() *clusterFlags {
	config := genericclioptions.NewConfigFlags(true)
	config.Namespace, config.AuthInfoName = nil, nil
	config.CacheDir, config.DisableCompression = nil, nil
	return &clusterFlags{config: config}
}

// add adds the flags. Help is about those that people use; it names the others together.
func (c *clusterFlags) add(command *cobra.Command) {
	set := command.PersistentFlags()
	c.config.AddFlags(set)
	shown := map[string]string{
		"kubeconfig":      "kubeconfig file (default $KUBECONFIG, else ~/.kube/config)",
		"context":         "context of the kubeconfig file (default its current one)",
		"as":              "user to act as",
		"as-group":        "group to act as; may be repeated",
		"request-timeout": "how long to wait for an answer of the API server, such as 30s; 0 is without end",
	}
	set.VisitAll(func(f *pflag.Flag) {
		if usage := shown[f.Name]; usage != "" {
			f.Usage = usage
		} else {
			f.Hidden = true
		}
	})
	command.SetUsageTemplate(command.UsageTemplate() + `
kubectl's other flags for the connection, such as --server and --token, work here, too.
`)
	set.StringVar(&c.home, "plainspec-namespace", "plainspec-system", "namespace that Plainspec is installed in and keeps its records in")
}

// connect returns how to reach the cluster; no request is made.
func (c *clusterFlags) connect() (*rest.Config, error) {
	// Clients would complain of having no logger once they are half a minute old.
	log.SetLogger(logr.Discard())
	files, err := c.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config, err := c.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	// Like kubectl, it then takes a server on this machine, which nobody means.
	if len(files.Clusters) == 0 && *c.config.APIServer == "" && config.Host == "http://localhost:8080" {
		return nil, errors.New("no cluster to read: name a kubeconfig file with --kubeconfig or KUBECONFIG")
	}
	return config, nil
}

func newReport(name string, s streams, now time.Time) *cobra.Command {
	c := newClusterFlags()
	command := &cobra.Command{
		Use:   "report",
		Short: "Say what was refused in a cluster, or would be",
		Long: `Say what was refused in a cluster, or would be if Plainspec enforced: who tried to apply what, when,
how often, and why it is refused.

The records are read from Plainspec's namespace with the rights of whoever asks: the chart's
ClusterRole …-rejections-viewer, named after the release and bound there, grants them.`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q for %q (see %s --help)", args[0], command.CommandPath(), command.CommandPath())
			}
			return nil
		},
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	c.add(command)
	command.AddCommand(newReportList(name, s, now, c), newReportShow(name, s, now, c), newReportHTML(name, s, now, c), newReportReadiness(name, s, now, c))
	return command
}
