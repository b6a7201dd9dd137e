package mutate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "gomodules.xyz/jsonpatch/v2"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// metadata is the metadata of an object or of its Pod template, with what was completed there.
type metadata struct {
	labels, annotations map[string]string
	completed           map[string]string // the labels as they are to be
	before, after       record
	stored              map[string]string // the labels by the record of the stored object
	lost                bool              // before is of the stored object: the new one has no record
	unreadable          bool              // there is a record, and it is none: nothing is completed that would have to be recorded
}

// newMetadata returns metadata of an object whose stored annotations are given, too. What was
// completed stays Plainspec's if its record is lost on the way: kubectl apply takes out all
// annotations if the manifest has none any more, and kubectl replace those that it does not have.
func newMetadata(labels, annotations, stored map[string]string) *metadata {
	m := &metadata{labels: labels, annotations: annotations, completed: labels}
	var err error
	m.before, err = readRecord(annotations)
	m.unreadable = err != nil
	if before, err := readRecord(stored); err == nil && !before.empty() {
		m.stored = before.Labels
		if _, ok := annotations[workload.InjectedAnnotation]; !ok {
			m.before, m.lost = before, true
		}
	}
	m.after = m.before
	return m
}

// users are the labels without those that were completed and are still what they were. kubectl
// rollout undo brings back the annotations of a Deployment, and so an older record, but not its
// labels: those are what the stored record says.
func (m *metadata) users() map[string]string {
	labels := maps.Clone(m.labels)
	for _, recorded := range []map[string]string{m.before.Labels, m.stored} {
		for key, value := range recorded {
			if got, ok := labels[key]; ok && got == value && strings.HasPrefix(key, labelPrefix) {
				delete(labels, key)
			}
		}
	}
	return labels
}

// keep adds the labels that were completed and say something about the application.
func (m *metadata) keep(add map[string]string, l *v1alpha1.Labels) {
	for key, wanted := range map[string]bool{workload.VersionLabelKey: l.Version, labelPrefix + "name": l.Name} {
		if value, ok := m.before.Labels[key]; ok && wanted && m.labels[key] == value {
			add[key] = value
		}
	}
}

// complete adds labels to those of the user, in place of those that were completed before.
func (m *metadata) complete(users, add map[string]string) {
	m.completed, m.after.Labels = users, add
	if len(add) > 0 {
		m.completed = make(map[string]string, len(users)+len(add))
		maps.Copy(m.completed, users)
		maps.Copy(m.completed, add)
	} else if len(users) == 0 && len(m.labels) > 0 {
		m.completed = nil // ours were the only ones
	}
}

// errNoRoom says that a record does not fit beside the annotations that are there.
var errNoRoom = errors.New("no room for a record")

// size is the bytes of annotations, as the API server counts them.
func size(annotations map[string]string) int {
	sum := 0
	for key, value := range annotations {
		sum += len(key) + len(value)
	}
	return sum
}

// operations returns what writes labels and record into the metadata at a path; exists says
// whether there is any. Its error is errNoRoom if the API server would refuse the annotations.
func (m *metadata) operations(path string, exists bool, revision string) ([]jsonpatch.Operation, error) {
	annotations := m.annotations
	if same := m.after.same(&m.before); m.lost || !same {
		annotations = maps.Clone(m.annotations)
		if m.after.empty() {
			delete(annotations, workload.InjectedAnnotation)
		} else {
			if !same {
				m.after.Revision = revision
			}
			text, err := m.after.text()
			if err != nil {
				return nil, err
			}
			if annotations == nil {
				annotations = make(map[string]string, 1)
			}
			annotations[workload.InjectedAnnotation] = text
			if size(annotations) > longestRecord {
				return nil, errNoRoom
			}
		}
		if len(annotations) == 0 && len(m.annotations) > 0 {
			annotations = nil // ours was the only one
		}
	}
	if exists {
		return append(textDifference(path+"/annotations", m.annotations, annotations), textDifference(path+"/labels", m.labels, m.completed)...), nil
	}
	after := make(map[string]any, 2)
	for name, texts := range map[string]map[string]string{"labels": m.completed, "annotations": annotations} {
		if texts != nil {
			after[name] = texts
		}
	}
	if len(after) == 0 {
		return nil, nil
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, after)}, nil
}

// label takes out the labels that were completed and fills in those that are missing then.
func (t *task) label() error {
	l := t.options.Completion.Labels
	if t.child || t.template.unreadable || t.own.unreadable || l == nil && len(t.template.before.Labels)+len(t.own.before.Labels) == 0 {
		return nil
	}
	own, template := t.own.users(), t.template.users()
	input := labelInput{
		Kind: t.in.Kind, Name: t.object.Name(), Labels: own, Annotations: t.object.Annotations(), TemplateLabels: template,
	}
	if strings.HasSuffix(input.Name, "*") {
		input.Name = "" // the API server generates it
	}
	if needsApplication(l, own, template) {
		var err error
		if input.Application, input.ApplicationProblem, err = t.application(); err != nil {
			return err
		}
	}
	ownAdd, templateAdd, left := completeLabels(l, input)
	t.result.Left = append(t.result.Left, left...)
	if t.blocked && l != nil { // nothing is injected or taken out, so what was said about the application stays
		t.own.keep(ownAdd, l)
		t.template.keep(templateAdd, l)
	}
	t.template.complete(template, templateAdd)
	if t.own != t.template {
		t.own.complete(own, ownAdd)
	}
	t.reportLabels()
	return nil
}

// needsApplication reports whether a label is missing that says something about the application.
// To tell which it is takes more time than the rest.
func needsApplication(l *v1alpha1.Labels, own, template map[string]string) bool {
	if l == nil {
		return false
	}
	lacks := func(labels map[string]string, key string) bool {
		_, ok := labels[key]
		return !ok
	}
	return l.Version && (lacks(own, workload.VersionLabelKey) || lacks(template, workload.VersionLabelKey)) ||
		l.Name && lacks(own, labelPrefix+"name")
}

// reportLabels says which labels were set and which were taken out.
func (t *task) reportLabels() {
	for _, m := range []struct {
		*metadata
		where string
	}{{t.own, "object"}, {t.template, "Pod template"}} {
		if m.where == "Pod template" && t.own == t.template {
			break
		}
		changed := changedKeys(m.labels, m.completed)
		for _, key := range changed {
			if value, ok := m.completed[key]; ok {
				t.done(Labels, "label %s: %s on the %s", key, value, m.where)
			}
		}
		for _, key := range changed {
			if _, ok := m.completed[key]; !ok {
				t.done(Labels, "removed label %s from the %s", key, m.where)
			}
		}
	}
}

// application is the one application that the completed object runs: the artifact that is
// injected, or else what the manifest's structure says. Without one, the text says why, if there is
// something to say.
func (t *task) application() (*workload.Component, string, error) {
	if t.blocked {
		return nil, "", nil // what is in the way was said
	}
	var found []workload.Component
	for i := range t.targets {
		found = append(found, artifactComponent(&t.targets[i].Asked))
	}
	if len(t.targets) == 0 {
		object := t.object
		if t.changed { // what was taken out counts no more
			completed := Result{Patch: slices.Concat(t.within, t.around)}
			raw, err := completed.Apply(t.in.Object)
			if err != nil {
				return nil, "", err
			}
			if object, err = workload.Decode(raw, t.in.Kind); err != nil {
				return nil, "", err
			}
		}
		found = slices.DeleteFunc(t.reader.Read(object, workload.Groups{}).Components(t.options.Tools...), func(c workload.Component) bool {
			return c.Role != workload.RoleApplication
		})
	}
	application, problem := soleApplication(found)
	return application, problem, nil
}

func artifactComponent(a *workload.Asked) workload.Component {
	version := a.Image.Tag
	if version == "" {
		version = a.Image.Digest
	}
	return workload.Component{
		Name: a.Image.Name, Role: workload.RoleApplication, Version: version, Field: a.Field, Precision: a.Image.Precision,
	}
}

// soleApplication is the application if there is one, or if all have one version; a name that they do not
// share is left out.
func soleApplication(applications []workload.Component) (*workload.Component, string) {
	if len(applications) == 0 {
		return nil, ""
	}
	one := applications[0]
	names := make([]string, 0, len(applications))
	several := false
	for i := range applications {
		other := &applications[i]
		several = several || other.Version != applications[0].Version
		if other.Name != one.Name {
			one.Name = ""
		}
		names = append(names, strings.TrimSpace(other.Name+" "+other.Version))
	}
	if several {
		slices.Sort(names)
		return nil, fmt.Sprintf("the Pod runs several applications (%s)", strings.Join(names, ", "))
	}
	return &one, ""
}
