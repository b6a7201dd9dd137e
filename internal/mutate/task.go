package mutate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// task is one completion under way.
type task struct {
	*Completer

	in     *Input
	object *workload.Object
	child  bool // a controller made the Pod: only resources are filled in
	asked  []workload.Asked
	stray  []string
	images []string                // the references by which artifacts are asked for, and were before an update
	class  *v1alpha1.ResourceClass // nil if no resources are filled in

	own, template *metadata // the same for a Pod
	document      document  // empty until open

	injection *injection // nil if nothing is injected and nothing was
	targets   []inject.Target
	blocked   bool // nothing is injected or taken out, because something is in the way
	changed   bool // something is injected or taken out

	within, around []jsonpatch.Operation // within elements of lists, and of the lists themselves
	result         Result
}

func (c *Completer) task(object *workload.Object, in *Input) *task {
	t := &task{Completer: c, in: in, object: object}
	t.asked, t.stray = c.reader.Asked(object)
	ofTemplate, ofObject := storedAnnotations(in)
	t.images = slices.Concat(references(object.TemplateAnnotations()), references(ofTemplate))
	t.template = newMetadata(object.TemplateLabels(), object.TemplateAnnotations(), ofTemplate)
	t.own = t.template
	self := in.Kind.Template == kinds.TemplateSelf
	if !self {
		t.own = newMetadata(object.Labels(), object.Annotations(), ofObject)
	}
	if r := c.options.Completion.Resources; r != nil && (self || r.Templates) {
		t.class = resourceClass(r, in.Namespace)
	}
	return t
}

// storedAnnotations are the annotations of the object before an update, and of its Pod template, if
// Plainspec has completed anything there.
func storedAnnotations(in *Input) (ofTemplate, ofObject map[string]string) {
	if !in.Update || !bytes.Contains(in.Old, []byte(workload.InjectedAnnotation)) {
		return nil, nil
	}
	old, err := workload.Decode(in.Old, in.Kind)
	if err != nil {
		return nil, nil // what cannot be read was not completed
	}
	return old.TemplateAnnotations(), old.Annotations()
}

// references are those by which annotations ask for artifacts, none if they ask for more than are
// injected: each is tried for each container that was.
func references(annotations map[string]string) []string {
	var values []string
	for key, value := range annotations {
		if key == workload.ArtifactAnnotation || strings.HasPrefix(key, workload.ArtifactAnnotation+".") {
			values = append(values, value)
		}
	}
	if len(values) > inject.ArtifactsAtMost {
		return nil
	}
	return values
}

// idle reports whether nothing is to be done, as far as can be told without a look at the Pod spec.
func (t *task) idle() bool {
	if t.class != nil {
		return false
	}
	completed := !t.template.before.empty() || !t.own.before.empty()
	return t.child || len(t.asked) == 0 && !completed && t.options.Completion.Labels == nil
}

// open finds the Pod spec; false if there is none.
func (t *task) open() (found bool, err error) {
	t.document, found, err = readDocument(t.in.Object, &t.in.Kind)
	return found, err
}

// notice says what was written in vain, or cannot be read.
func (t *task) notice() {
	if t.template.unreadable {
		t.unreadable(Inject, t.in.Kind.Template)
		t.blocked = true
	}
	if t.child {
		return // its template's author was told
	}
	if t.own != t.template && t.own.unreadable {
		t.unreadable(Labels, kinds.TemplateSelf)
	}
	for _, field := range t.stray {
		t.left(Inject, StrayAnnotation, strayText(field, t.in.Kind.Template), field)
	}
}

// unreadableText is what to do about a record that Plainspec did not write.
const unreadableText = "annotation " + workload.InjectedAnnotation + " is not what Plainspec writes, so it cannot tell what it added before: remove the annotation"

func (t *task) unreadable(what string, where kinds.Template) {
	field := where.AnnotationsPath() + `["` + workload.InjectedAnnotation + `"]`
	t.left(what, string(inject.UnreadableRecord), unreadableText, field)
}

// strayText says what to do about an annotation that means nothing where it stands.
func strayText(field string, template kinds.Template) string {
	_, key, _ := strings.Cut(strings.TrimSuffix(field, `"]`), `["`)
	word, name, named := strings.Cut(strings.TrimPrefix(key, workload.AnnotationPrefix), ".")
	known := []string{
		workload.ArtifactAnnotation, workload.ProfileAnnotation, workload.ModeAnnotation, workload.ContainerAnnotation,
	}
	switch {
	case !slices.Contains(known, workload.AnnotationPrefix+word) || named && name == "":
		return fmt.Sprintf(`annotation %s means nothing: known are %s, each also with "." and a name at its end`, key, strings.Join(known, ", "))
	case template != kinds.TemplateSelf && strings.HasPrefix(field, kinds.TemplateSelf.AnnotationsPath()):
		return fmt.Sprintf("annotation %s means nothing here: write it on the Pod template, in %s", key, template.AnnotationsPath())
	default:
		asking := workload.ArtifactAnnotation
		if named {
			asking += "." + name
		}
		return fmt.Sprintf("annotation %s is for an artifact that is not asked for: add annotation %s, or remove this one", key, asking)
	}
}

func (t *task) left(what, reason, text, field string) {
	t.result.Left = append(t.result.Left, Left{What: what, Reason: reason, Text: text, Field: field})
}

func (t *task) done(what, format string, args ...any) {
	t.result.Done = append(t.result.Done, Done{What: what, Text: fmt.Sprintf(format, args...)})
}

// elements are what was injected before, by the record. If the record was lost, what the last
// manifest that kubectl applied has itself is its author's, even if it is a copy of what was injected.
func (t *task) elements() map[string]string {
	elements := t.template.before.Elements
	applied, ok := t.object.Annotations()[corev1.LastAppliedConfigAnnotation]
	if !t.template.lost || !ok {
		return elements
	}
	document, found, err := readDocument([]byte(applied), &t.in.Kind)
	if err != nil || !found {
		return elements
	}
	pod, err := document.pod()
	if err != nil {
		return elements
	}
	elements = maps.Clone(elements)
	for i := range pod.spec.Volumes {
		delete(elements, volumeKey(pod.spec.Volumes[i].Name))
	}
	for i := range pod.spec.InitContainers {
		delete(elements, initKey(pod.spec.InitContainers[i].Name))
	}
	for _, c := range slices.Concat(pod.spec.InitContainers, pod.spec.Containers) {
		for _, m := range c.VolumeMounts {
			delete(elements, mountKey(c.Name, m.Name, m.MountPath))
		}
	}
	return elements
}

// plan tells what was injected, and what is to be.
func (t *task) plan() (*injection, inject.Parts, []inject.Target, error) {
	pod, err := t.document.pod()
	if err != nil {
		return nil, inject.Parts{}, nil, err
	}
	injection := newInjection(t.planner, pod, t.elements(), t.images)
	if len(t.asked) == 0 {
		return injection, inject.Parts{}, nil, nil
	}
	parts, targets := t.planner.Plan(injection.rest, t.asked)
	for i := range targets {
		if t.template.unreadable && targets[i].Problem == nil {
			targets[i].Problem = &inject.Problem{Code: inject.UnreadableRecord, Text: unreadableText, Field: targets[i].Asked.Field}
		}
	}
	return injection, parts, targets, nil
}

// inject takes out what was injected and puts in what is asked for, all of it or nothing.
func (t *task) inject() error {
	if t.child || t.blocked || len(t.asked)+len(t.template.before.Elements) == 0 {
		return nil
	}
	injection, parts, targets, err := t.plan()
	if err != nil {
		return err
	}
	t.injection, t.targets = injection, targets
	for i := range targets {
		if p := targets[i].Problem; p != nil {
			t.left(Inject, string(p.Code), p.Text, p.Field)
			t.blocked = true
		}
	}
	if t.blocked {
		return nil
	}
	if err := injection.want(&parts); err != nil {
		return err
	}
	if t.within, t.around, err = injection.operations(); err != nil {
		return err
	}
	t.changed = len(t.within)+len(t.around) > 0
	t.template.after.Elements = injection.record()
	t.result.InitContainers = injection.inits.origins()
	t.report()
	return nil
}

// report says what was injected, what was taken out, and what was not.
func (t *task) report() {
	if t.changed {
		for i := range t.targets {
			t.done(Inject, "artifact %s for container %q", t.targets[i].Asked.Value, t.targets[i].Container)
		}
	}
	removed, edited := t.injection.changes()
	if len(removed) > 0 {
		t.done(Inject, "removed %s: no artifact needs it any more", strings.Join(describeAll(removed), ", "))
	}
	if len(edited) > 0 {
		t.left(Inject, Edited, strings.Join(describeAll(edited), ", ")+
			": no artifact needs it any more, but since it was injected it was changed or is used, so it stays: remove it yourself", t.in.Kind.Template.SpecPath())
	}
}

// finish writes the patch, or says why there is none: without a record, nothing is completed.
func (t *task) finish() error {
	patch := slices.Concat(t.within, t.around)
	operations, err := t.template.operations(pointer(t.document.path, "metadata"), t.document.template, t.revision)
	patch = append(patch, operations...)
	field := t.in.Kind.Template.AnnotationsPath()
	if err == nil && t.own != t.template {
		operations, err = t.own.operations("/metadata", t.document.own, t.revision)
		patch = append(patch, operations...)
		field = kinds.TemplateSelf.AnnotationsPath()
	}
	switch {
	case errors.Is(err, errNoRoom):
		t.undo(fmt.Sprintf("%s have %d KiB at the most, and no room for what Plainspec adds: shorten them", field, longestRecord>>10), field)
	case err != nil:
		return err
	default:
		t.result.Patch = patch
	}
	return nil
}

// undo leaves everything as it is, and says why.
func (t *task) undo(text, field string) {
	done := t.result.Done
	t.result = Result{Left: t.result.Left}
	for _, what := range []string{Inject, Resources, Labels} {
		if slices.ContainsFunc(done, func(d Done) bool { return d.What == what }) {
			t.left(what, NoRoom, text, field)
		}
	}
}
