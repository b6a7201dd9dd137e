// Package assemble makes a reviewer from a configuration and the policies, for the server and for
// the CLI alike: both must judge by the same.
package assemble

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/policies"
)

// Options say what a reviewer is made of.
type Options struct {
	// Config is the configuration.
	Config *v1alpha1.Configuration
	// ConfigFile is where Config was read from, for errors; empty for the defaults.
	ConfigFile string
	// Policies is a folder whose policies lie over the built-in ones; empty for none.
	Policies string
	// Overlay is what Policies names, for policies that are in no folder; nil for none.
	Overlay fs.FS
}

// Reviewer loads the policies and returns the reviewer that the configuration describes. Its
// errors say what to mend: a policy's file, line and column, or the configuration's field.
func Reviewer(ctx context.Context, o Options) (*validate.Reviewer, error) {
	config := o.Config
	set, err := load(ctx, config, o.Policies, o.Overlay)
	if err != nil {
		return nil, err
	}
	modes := make(map[string]policy.Mode, len(config.Rules))
	for code, rule := range config.Rules {
		modes[code] = policy.Mode(rule.Mode)
	}
	controllers := make([]string, 0, len(config.Controllers))
	for _, controller := range config.Controllers {
		controllers = append(controllers, controller.User)
	}
	if err := checkServers(&config.Completion, set.Names("catalog", "servers")).ToAggregate(); err != nil {
		return nil, fmt.Errorf("apply configuration %s: %w", o.ConfigFile, err)
	}
	completer, err := mutate.New(mutate.Options{
		Completion: config.Completion, Servers: set.Texts("catalog", "images"), Tools: set.Names("catalog", "tools"),
	})
	if err != nil {
		return nil, fmt.Errorf("apply configuration %s: %w", o.ConfigFile, err)
	}
	reviewer, err := validate.New(validate.Options{
		Set: set, Enforcement: validate.Enforcement(config.Enforcement), Modes: modes, Controllers: controllers,
		Contact: config.Contact, Completer: completer,
	})
	if err != nil {
		return nil, fmt.Errorf("apply configuration %s: %w", o.ConfigFile, err)
	}
	return reviewer, nil
}

// mostServers bounds how many servers an error lists.
const mostServers = 10

// checkServers finds the servers in profiles that the catalog does not know: such a profile would
// match nothing.
func checkServers(completion *v1alpha1.Completion, known []string) field.ErrorList {
	list := strings.Join(known[:min(len(known), mostServers)], ", ")
	if more := len(known) - mostServers; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	var errs field.ErrorList
	for i := range completion.Profiles {
		path := field.NewPath("completion", "profiles").Index(i).Child("match", "servers")
		for j, server := range completion.Profiles[i].Match.Servers {
			if !slices.Contains(known, server) {
				errs = append(errs, field.Invalid(path.Index(j), server, "the policies' catalog has no such server; it has "+list))
			}
		}
	}
	return errs
}

func load(ctx context.Context, config *v1alpha1.Configuration, folder string, overlay fs.FS) (*policy.Set, error) {
	o := policy.Options{Library: policies.FS, Overlay: overlay, Parameters: make(map[string]any, len(config.Parameters))}
	if folder != "" {
		info, err := os.Stat(folder)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", folder)
		}
		if err != nil {
			return nil, fmt.Errorf("open policies: %w", err)
		}
		o.Overlay = os.DirFS(folder)
	}
	for name, value := range config.Parameters {
		var decoded any
		if len(value.Raw) > 0 { // nothing is how a null arrives
			if err := util.UnmarshalJSON(value.Raw, &decoded); err != nil {
				return nil, fmt.Errorf("decode parameters.%s: %w", name, err)
			}
		}
		o.Parameters[name] = decoded
	}
	set, err := policy.Load(ctx, o)
	if err != nil && folder != "" {
		err = fmt.Errorf("policies with %s: %w", folder, err)
	}
	return set, err
}
