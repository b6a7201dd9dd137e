package mutate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// sizedSpec is the part of a Pod spec that resources are filled in by: to decode all of it costs ten
// times as much, and for the Pods of a large installation that is what is paid.
type sizedSpec struct {
	InitContainers []sizedContainer             `json:"initContainers"`
	Containers     []sizedContainer             `json:"containers"`
	Resources      *corev1.ResourceRequirements `json:"resources"`
}

type sizedContainer struct {
	Name          string                         `json:"name"`
	RestartPolicy *corev1.ContainerRestartPolicy `json:"restartPolicy"`
	Resources     jsontext.Value                 `json:"resources"` // as they are written
}

// typed is the same in the types of Kubernetes.
func (s *sizedSpec) typed() (*corev1.PodSpec, error) {
	convert := func(sized []sizedContainer) ([]corev1.Container, error) {
		containers := make([]corev1.Container, len(sized))
		for i := range sized {
			c := &sized[i]
			containers[i] = corev1.Container{Name: c.Name, RestartPolicy: c.RestartPolicy}
			if len(c.Resources) == 0 {
				continue
			}
			if err := json.Unmarshal(c.Resources, &containers[i].Resources); err != nil {
				return nil, fmt.Errorf("decode resources of container %q: %w", c.Name, workload.InWords(err))
			}
		}
		return containers, nil
	}
	spec := &corev1.PodSpec{Resources: s.Resources}
	var err error
	if spec.InitContainers, err = convert(s.InitContainers); err != nil {
		return nil, err
	}
	if spec.Containers, err = convert(s.Containers); err != nil {
		return nil, err
	}
	return spec, nil
}

// fill takes out the amounts that were filled in and fills in those that are missing then.
func (t *task) fill() error {
	recorded := t.template.before.Resources
	if t.child {
		recorded = nil // they came with the template
	}
	if t.template.unreadable || t.class == nil && len(recorded) == 0 {
		return nil
	}
	var written sizedSpec
	if err := json.Unmarshal(t.document.spec, &written); err != nil {
		return fmt.Errorf("decode Pod spec: %w", workload.InWords(err))
	}
	before, err := written.typed()
	if err != nil {
		return err
	}
	spec := *before
	// Of what is injected, the profile says what it needs, and else the namespace's LimitRange. What
	// has no name may not even be an object; the API server refuses it.
	others := append(t.injected(), "")
	recorded = maps.Clone(recorded)
	for _, name := range others {
		delete(recorded, name)
	}
	spec.InitContainers = withoutAmounts(spec.InitContainers, recorded)
	spec.Containers = withoutAmounts(spec.Containers, recorded)
	filled := fillResources(&spec, t.class)
	for _, name := range others {
		delete(filled, name)
	}
	completed := make(map[string]map[string]string)
	for _, list := range []struct {
		name             string
		written          []sizedContainer
		before, stripped []corev1.Container
	}{
		{"initContainers", written.InitContainers, before.InitContainers, spec.InitContainers},
		{"containers", written.Containers, before.Containers, spec.Containers},
	} {
		path := pointer(t.document.path, "spec", list.name)
		for i := range list.stripped {
			c := &list.stripped[i]
			removed, added := missingAmounts(&c.Resources, &list.before[i].Resources), map[string]string(nil)
			if requirements, ok := filled[c.Name]; ok {
				added = missingAmounts(&c.Resources, &requirements)
			}
			if len(added) > 0 {
				completed[c.Name] = added
			}
			if err := t.write(path+"/"+strconv.Itoa(i), &list.written[i], removed, added); err != nil {
				return err
			}
		}
	}
	if t.child {
		completed = union(t.template.before.Resources, completed)
	}
	t.template.after.Resources = completed
	return nil
}

// injected are the names of the stored init containers that were injected.
func (t *task) injected() []string {
	if t.injection == nil {
		return nil
	}
	var names []string
	for i, ours := range t.injection.inits.ours {
		if ours {
			names = append(names, t.injection.inits.stored[i].Name)
		}
	}
	return names
}

// withoutAmounts copies containers without the recorded amounts that are still what they were.
func withoutAmounts(containers []corev1.Container, recorded map[string]map[string]string) []corev1.Container {
	if len(recorded) == 0 {
		return containers
	}
	containers = slices.Clone(containers)
	for i := range containers {
		r := containers[i].Resources.DeepCopy()
		for kind, amounts := range map[string]corev1.ResourceList{"limits": r.Limits, "requests": r.Requests} {
			for name, amount := range amounts {
				if value, ok := recorded[containers[i].Name][kind+"."+string(name)]; ok && is(amount, value) {
					delete(amounts, name)
				}
			}
		}
		containers[i].Resources = *r
	}
	return containers
}

// longestAmount is the longest text that is read as an amount, in bytes. What Plainspec fills in is
// shorter, and longer ones take long to read.
const longestAmount = 32

// is reports whether an amount is what a text says. Only what was written out can be read: an
// exponent such as that of 1e99999999 takes minutes, and anybody can write a record.
func is(amount resource.Quantity, text string) bool {
	if amount.String() == text {
		return true
	}
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(text) > longestAmount || len(strings.TrimLeft(exponent, "+-")) > 2 {
		return false
	}
	was, err := resource.ParseQuantity(text)
	return err == nil && !inject.Exceeds(amount, was) && !inject.Exceeds(was, amount)
}

// missingAmounts are the amounts of all that some lacks, by names such as limits.memory.
func missingAmounts(some, all *corev1.ResourceRequirements) map[string]string {
	missing := make(map[string]string)
	add := func(list string, some, all corev1.ResourceList) {
		for name, amount := range all {
			if _, ok := some[name]; !ok {
				missing[list+"."+string(name)] = amount.String()
			}
		}
	}
	add("limits", some.Limits, all.Limits)
	add("requests", some.Requests, all.Requests)
	return missing
}

// write takes amounts out of a container's resources and adds others. What stays the same is left
// as it is written.
func (t *task) write(path string, c *sizedContainer, removed, added map[string]string) error {
	if maps.Equal(removed, added) {
		return nil
	}
	var before, after map[string]any
	for _, decoded := range []*map[string]any{&before, &after} {
		if len(c.Resources) == 0 {
			break
		}
		if err := json.Unmarshal(c.Resources, decoded); err != nil {
			return fmt.Errorf("decode resources of container %q: %w", c.Name, workload.InWords(err))
		}
	}
	if after == nil {
		after = make(map[string]any)
	}
	for key := range removed {
		list, name, _ := strings.Cut(key, ".")
		if held, ok := after[list].(map[string]any); ok && removed[key] != added[key] {
			delete(held, name)
			if len(held) == 0 {
				delete(after, list)
			}
		}
	}
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(added)) {
		if removed[key] == added[key] {
			continue
		}
		texts = append(texts, key+" "+added[key])
		list, name, _ := strings.Cut(key, ".")
		held, ok := after[list].(map[string]any)
		if !ok {
			held = make(map[string]any)
			after[list] = held
		}
		held[name] = added[key]
	}
	if len(texts) > 0 {
		t.done(Resources, "%s for container %q", strings.Join(texts, ", "), c.Name)
	} else {
		t.done(Resources, "removed what was filled in for container %q", c.Name)
	}
	t.within = append(t.within, difference(path+"/resources", present(before), present(after))...)
	return nil
}

// present is nil for a map without members.
func present(m map[string]any) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// union is what two records of resources name; the second is right where both name the same.
func union(a, b map[string]map[string]string) map[string]map[string]string {
	all := make(map[string]map[string]string, len(a)+len(b))
	for _, from := range []map[string]map[string]string{a, b} {
		for container, amounts := range from {
			if all[container] == nil {
				all[container] = make(map[string]string, len(amounts))
			}
			maps.Copy(all[container], amounts)
		}
	}
	return all
}
