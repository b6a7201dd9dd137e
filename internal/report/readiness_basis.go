package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/assemble"
)

// What the chart calls its objects by.
const (
	nameLabel      = "app.kubernetes.io/name"
	nameOfApp      = "plainspec"
	componentLabel = "app.kubernetes.io/component"
	configuration  = "configuration"
	instanceLabel  = "app.kubernetes.io/instance"
	configKey      = "config.yaml"
	policiesLabel  = "plainspec.dev/policies"
	pathSeparator  = "__" // stands for "/" in the keys of ConfigMaps
	rootsWebhook   = "roots.validate.plainspec.dev"
)

// findHome reads from the webhook configuration, if it may be read, in which namespace Plainspec is: what is looked for in
// another one is not there, and would be taken for not being at all.
func (a *assessment) findHome(ctx context.Context) error {
	var list admissionregistrationv1.ValidatingWebhookConfigurationList
	err := a.Source.Client.List(ctx, &list, client.MatchingLabels{nameLabel: nameOfApp})
	switch {
	case apierrors.IsForbidden(err):
		a.hidden, a.report.Basis.refused = true, true
		a.note("the webhook configuration may not be read: name the namespaces that it exempts with --exclude-namespace")
		return nil
	case err != nil:
		return explain("list validatingwebhookconfigurations", err)
	}
	installed := findRoots(list.Items)
	if len(installed) == 0 {
		a.note("no webhook configuration of Plainspec: name the namespaces that it is to exempt with --exclude-namespace")
		return nil
	}
	at := 0
	if a.Named {
		at = slices.IndexFunc(installed, func(i installation) bool { return i.home == a.Source.Namespace || i.home == "" })
	}
	switch {
	case at < 0:
		return fmt.Errorf("namespace %q is not Plainspec's: %s: leave --plainspec-namespace out, or name that", a.Source.Namespace, calls(installed))
	case !a.Named && slices.ContainsFunc(installed, func(i installation) bool { return i.home != installed[0].home }):
		return fmt.Errorf("found Plainspec %d times: %s: name one with --plainspec-namespace", len(installed), calls(installed))
	}
	a.installed = &installed[at]
	a.oldest = earlier(a.oldest, a.installed.made)
	if home := a.installed.home; home != "" {
		a.Source.Namespace, a.report.Basis.home = home, home
	}
	a.report.Basis.prefix, a.report.Basis.release = a.installed.name, a.installed.release
	return nil
}

// installation is what a webhook configuration of Plainspec says.
type installation struct {
	name, release string
	home          string // empty if the server is outside of the cluster
	made          metav1.Time
	webhook       *admissionregistrationv1.ValidatingWebhook // the one that can refuse what people apply
}

// calls says for people where webhook configurations call Plainspec.
func calls(installed []installation) string {
	texts := make([]string, len(installed))
	for i := range installed {
		texts[i] = fmt.Sprintf("ValidatingWebhookConfiguration %s calls it in namespace %q", visible(installed[i].name), installed[i].home)
	}
	return strings.Join(texts, ", ")
}

// findRoots finds the webhooks that can refuse what people apply.
func findRoots(configurations []admissionregistrationv1.ValidatingWebhookConfiguration) []installation {
	var found []installation
	for i := range configurations {
		c := &configurations[i]
		at := slices.IndexFunc(c.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == rootsWebhook })
		if at < 0 {
			continue
		}
		one := installation{name: c.Name, release: c.Labels[instanceLabel], made: c.CreationTimestamp, webhook: &c.Webhooks[at]}
		if service := c.Webhooks[at].ClientConfig.Service; service != nil {
			one.home = service.Namespace
		}
		found = append(found, one)
	}
	return found
}

// prepare makes the judge, of the same configuration and policies as the server's.
func (a *assessment) prepare(ctx context.Context) error {
	config, err := a.configuration(ctx)
	if err != nil {
		return err
	}
	a.judge = judge{config: config, unread: a.report.Basis.unread, now: a.Now}
	folder, remove, err := a.policies(ctx)
	if err != nil {
		return err
	}
	defer remove()
	basis := &a.report.Basis
	reviewer, err := assemble.Reviewer(ctx, assemble.Options{Config: config, ConfigFile: basis.Configuration, Policies: folder})
	if err != nil {
		// Where the policies load without it, the configuration is what to mend, and the error names it.
		if _, alone := assemble.Reviewer(ctx, assemble.Options{Config: v1alpha1.Default(), Policies: folder}); alone == nil {
			return err
		}
		return fmt.Errorf("load policies (%s): %w", basis.Policies, err)
	}
	a.judge.reviewer, a.judge.partial = reviewer, basis.unread
	basis.PolicyRevision = reviewer.Set().Revision()
	for _, controller := range config.Controllers {
		basis.Controllers = append(basis.Controllers, visible(controller.User))
	}
	return nil
}

// configuration is the server's: of a file, else of the chart's ConfigMap, else the built-in one.
func (a *assessment) configuration(ctx context.Context) (*v1alpha1.Configuration, error) {
	basis := &a.report.Basis
	if a.Config != "" {
		config, err := v1alpha1.Load(a.Config)
		if err != nil {
			return nil, err
		}
		basis.Configuration, basis.Enforcement, basis.file = "file "+a.Config, string(config.Enforcement), true
		return config, nil
	}
	found, why, err := a.configMaps(ctx, client.MatchingLabels{nameLabel: nameOfApp, componentLabel: configuration})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		basis.Configuration = "built-in defaults (" + why + ")"
		return v1alpha1.Default(), a.noConfiguration()
	case len(found) > 1:
		return nil, fmt.Errorf("read configuration: namespace %s has it %d times (%s): say which holds with --config", a.Source.Namespace, len(found), names(found))
	}
	basis.Configuration, basis.release = "ConfigMap "+names(found), found[0].Labels[instanceLabel]
	a.oldest = earlier(a.oldest, found[0].CreationTimestamp)
	config, err := v1alpha1.Decode([]byte(found[0].Data[configKey]))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %s, %s: %w", basis.Configuration, configKey, err)
	}
	basis.Enforcement = string(config.Enforcement)
	return config, nil
}

// noConfiguration judges that Plainspec's namespace has no configuration, or that it may not be read: the built-in one
// stands in only where nothing says that there is another.
func (a *assessment) noConfiguration() error {
	basis := &a.report.Basis
	switch {
	case basis.unread:
		return nil
	case a.installed != nil && a.installed.home != "":
		return fmt.Errorf("no configuration of Plainspec in namespace %q, where %s: say which holds with --config", a.Source.Namespace, calls([]installation{*a.installed}))
	case a.Named:
		return fmt.Errorf("no configuration of Plainspec in namespace %q: is it installed there? see --plainspec-namespace", a.Source.Namespace)
	case a.installed != nil:
		basis.unread = true
		a.unread("configmaps", []string{a.Source.Namespace}, errors.New("the configuration is not there, and Plainspec's server is not in the cluster: say which holds with --config"))
	case a.hidden:
		basis.unread = true
		a.unread("configmaps", []string{a.Source.Namespace},
			errors.New("the configuration is not there, and the webhook configuration, which says where Plainspec is, may not be read (see --plainspec-namespace)"))
	default:
		basis.absent = true
	}
	return nil
}

// policies is the folder of the server's policies over the built-in ones: the one that was named, else one with those of
// the ConfigMaps, which remove takes away; empty if there are none.
func (a *assessment) policies(ctx context.Context) (folder string, remove func(), err error) {
	basis := &a.report.Basis
	remove = func() {}
	if a.Policies != "" {
		basis.Policies = "folder " + a.Policies + " over the built-in ones"
		return a.Policies, remove, nil
	}
	found, why, err := a.configMaps(ctx, client.MatchingLabels{nameLabel: nameOfApp}, client.HasLabels{policiesLabel})
	switch {
	case err != nil:
		return "", remove, err
	case len(found) == 0:
		basis.Policies = "built-in ones only (" + why + ")"
		return "", remove, nil
	}
	basis.Policies = "ConfigMap " + names(found) + " over the built-in ones"
	if folder, err = os.MkdirTemp("", "plainspec-policies-"); err != nil {
		return "", remove, fmt.Errorf("keep policies: %w", err)
	}
	remove = func() { _ = os.RemoveAll(folder) } // what is left in the temporary folder does no harm
	if err := writePolicies(folder, found); err != nil {
		remove()
		return "", func() {}, err
	}
	return folder, remove, nil
}

func writePolicies(folder string, from []corev1.ConfigMap) error {
	for i := range from {
		for _, key := range slices.Sorted(maps.Keys(from[i].Data)) {
			path := filepath.FromSlash(strings.ReplaceAll(key, pathSeparator, "/"))
			if !filepath.IsLocal(path) {
				return fmt.Errorf("read policies: ConfigMap %s: key %q is no path of a file", from[i].Name, key)
			}
			path = filepath.Join(folder, path)
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("read policies: %q is in more than one ConfigMap (%s): say which holds with --policies", key, names(from))
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return fmt.Errorf("keep policies: %w", err)
			}
			if err := os.WriteFile(path, []byte(from[i].Data[key]), 0o600); err != nil {
				return fmt.Errorf("keep policies: %w", err)
			}
		}
	}
	return nil
}

// configMaps reads ConfigMaps of Plainspec's namespace; if there are none, why says so. That they may not be read is part
// of the result: others may hold in the cluster than are judged by.
func (a *assessment) configMaps(ctx context.Context, labels ...client.ListOption) (found []corev1.ConfigMap, why string, err error) {
	var list corev1.ConfigMapList
	err = a.Source.Client.List(ctx, &list, append(labels, client.InNamespace(a.Source.Namespace))...)
	switch {
	case apierrors.IsForbidden(err):
		a.report.Basis.unread = true
		a.unread("configmaps", []string{a.Source.Namespace}, err)
		return nil, "what is in namespace " + a.Source.Namespace + " may not be read", nil
	case err != nil:
		return nil, "", explain("list configmaps", err)
	case len(list.Items) == 0:
		why = "none in namespace " + a.Source.Namespace
	}
	return list.Items, why, nil
}

func names(configMaps []corev1.ConfigMap) string {
	names := make([]string, len(configMaps))
	for i := range configMaps {
		names[i] = visible(configMaps[i].Namespace + "/" + configMaps[i].Name)
	}
	return strings.Join(names, ", ")
}

// readNamespaces returns the labels of each namespace that is looked at, and nothing if they may not be read: then owners
// are known by workloads alone.
func (a *assessment) readNamespaces(ctx context.Context) (map[string]map[string]string, error) {
	found := make(map[string]map[string]string)
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	var err error
	if a.Namespace == "" {
		err = a.Source.Client.List(ctx, list)
	} else {
		one := metav1.PartialObjectMetadata{}
		one.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		err = a.Source.Client.Get(ctx, client.ObjectKey{Name: a.Namespace}, &one)
		list.Items = append(list.Items, one)
	}
	switch {
	case apierrors.IsForbidden(err):
		a.note("namespaces may not be read: owners are told by the labels of workloads only")
		return found, nil
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("no namespace %q in the cluster", a.Namespace)
	case err != nil:
		return nil, explain("read namespaces", err)
	}
	a.counted = a.Namespace == ""
	for i := range list.Items {
		found[list.Items[i].Name] = list.Items[i].Labels
	}
	return found, nil
}

// exemption says which namespaces Plainspec is not asked about.
type exemption struct {
	selector   labels.Selector
	names      []string
	namespaces map[string]map[string]string
	met        map[string]bool // the answers so far
}

// readExemption reads from the webhook configuration which namespaces are left out.
func (a *assessment) readExemption(namespaces map[string]map[string]string) error {
	a.exempt = exemption{selector: labels.Everything(), names: a.Exclude, namespaces: namespaces, met: make(map[string]bool)}
	var from []string
	if len(a.Exclude) > 0 {
		from = append(from, "--exclude-namespace")
	}
	if a.installed != nil {
		from = append(from, "ValidatingWebhookConfiguration "+a.installed.name)
		if selector := a.installed.webhook.NamespaceSelector; selector != nil { // none is everything, and reads as nothing
			var err error
			if a.exempt.selector, err = metav1.LabelSelectorAsSelector(selector); err != nil {
				return fmt.Errorf("read %s: %w", from[len(from)-1], err)
			}
		}
	}
	a.report.Basis.ExemptFrom = strings.Join(from, " and ")
	for namespace := range namespaces {
		a.exempt.covers(namespace)
	}
	if a.Namespace != "" {
		a.exempt.covers(a.Namespace)
	}
	return nil
}

// covers reports whether a namespace is exempt.
func (e *exemption) covers(namespace string) bool {
	exempt, known := e.met[namespace]
	if !known {
		exempt = slices.Contains(e.names, namespace) || !e.selects(namespace)
		e.met[namespace] = exempt
	}
	return exempt
}

// selects reports whether the selector takes a namespace. Of one whose labels are not known, only the name is asked for:
// better to look at too much.
func (e *exemption) selects(namespace string) bool {
	set := labels.Set{}
	known, ok := e.namespaces[namespace]
	maps.Copy(set, known)
	set[corev1.LabelMetadataName] = namespace
	requirements, _ := e.selector.Requirements()
	return !slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		return (ok || r.Key() == corev1.LabelMetadataName) && !r.Matches(set)
	})
}

// seen are the exempt namespaces that exist, or that something was found in, sorted.
func (e *exemption) seen() []string {
	found := []string{}
	for namespace, exempt := range e.met {
		if exempt {
			found = append(found, namespace)
		}
	}
	slices.Sort(found)
	return found
}
