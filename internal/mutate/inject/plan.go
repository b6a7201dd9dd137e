package inject

import (
	"cmp"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// ArtifactsAtMost bounds the artifacts of one Pod. Each makes an init container, which run one after
// the other, so that real Pods have two or three; annotations of 256 KiB, which the API server
// admits, could ask for thousands.
const ArtifactsAtMost = 16

// strategies are the ways to bring an artifact's files to its server, by what the annotation
// plainspec.dev/artifact-mode names; the first is the default. A strategy adds what it needs to the
// build, and need not look at what the Pod has: that is checked for all of them.
var strategies = []strategy{{"init", addInit}}

type strategy struct {
	mode string
	add  func(b *build, a *artifact) *Problem
}

func (s strategy) String() string { return quote(s.mode) }

// artifact is an artifact whose server is known.
type artifact struct {
	*Target

	profile *v1alpha1.Profile
	server  *corev1.Container
}

// name is that of what is made for the artifact.
func name(a *workload.Asked) string {
	if a.Name == "" {
		return "artifact"
	}
	return "artifact-" + a.Name
}

// fail keeps the first problem of a target.
func (t *Target) fail(p *Problem) {
	if t.Problem == nil && p != nil {
		p.Field = t.Asked.Field
		t.Problem = p
	}
}

// Plan says what to add to a Pod spec, from which everything that was injected before has been
// taken out, for the artifacts that its template asks for. Targets has one entry for each of them.
// Parts are empty if a single one has a problem: nothing is half-injected. An element that is there
// already and is exactly what would be added is no conflict; Parts contain it all the same.
func (p *Planner) Plan(spec *corev1.PodSpec, asked []workload.Asked) (Parts, []Target) {
	if len(asked) == 0 {
		return Parts{}, nil
	}
	targets := make([]Target, len(asked))
	b := build{spec: spec}
	all := servers(spec)
	names := make(map[string]bool, len(asked))
	for i := range targets {
		t := &targets[i]
		t.Asked = asked[i]
		switch {
		case len(asked) > ArtifactsAtMost:
			t.fail(newProblem(TooMany, "the template asks for %d artifacts, and at most %d can be injected; pack some of them into one image", len(asked), ArtifactsAtMost))
		case names[t.Asked.Name]:
			t.fail(newProblem(InvalidName, "another annotation asks for an artifact of the same name; give it another one"))
		default:
			names[t.Asked.Name] = true
			t.fail(p.plan(&b, all, t))
		}
	}
	b.check()
	if slices.ContainsFunc(targets, func(t Target) bool { return t.Problem != nil }) {
		return Parts{}, targets
	}
	return b.parts(all), targets
}

// plan adds one artifact to a build.
func (p *Planner) plan(b *build, all []server, t *Target) *Problem {
	if problem := checkAsked(&t.Asked); problem != nil {
		return problem
	}
	profile, container, problem := p.match(all, &t.Asked)
	if problem != nil {
		return problem
	}
	t.Profile, t.Container, t.Path = profile.Name, container.Name, mountPath(profile)
	a := &artifact{Target: t, profile: profile, server: container}
	mode := cmp.Or(t.Asked.Mode, strategies[0].mode)
	i := slices.IndexFunc(strategies, func(s strategy) bool { return s.mode == mode })
	if i < 0 {
		return newProblem(UnknownMode, "there is no mode %s; this version has %s; correct %s",
			quote(mode), list(strategies, strategy.String), annotation(workload.ModeAnnotation, &t.Asked))
	}
	if problem := checkOS(b.spec, a); problem != nil {
		return problem
	}
	return strategies[i].add(b, a)
}

// checkAsked judges what can be told from the annotation alone.
func checkAsked(a *workload.Asked) *Problem {
	if len(validation.IsDNS1123Label(name(a))) > 0 {
		return newProblem(InvalidName, `%s cannot name a container; after %s., use lower-case letters, digits and "-", at most 54 of them`,
			quote(name(a)), workload.ArtifactAnnotation)
	}
	key := annotation(workload.ArtifactAnnotation, a)
	switch {
	case a.Image.Error != "":
		return newProblem(InvalidArtifact, "%s is no image reference: %s; correct %s", quote(a.Value), a.Image.Error, key)
	case a.Image.Tag == "" && a.Image.Digest == "":
		return newProblem(UnversionedArtifact, "%s names no version; write one as its tag or digest, as in %s:1.2.3, in %s", a.Value, parseImage(a.Value).short, key)
	case a.Image.Digest == "" && strings.EqualFold(a.Image.Tag, "latest"):
		return newProblem(UnversionedArtifact, "%s names no version, since its tag always means the newest; write one, as in %s:1.2.3, in %s", a.Value, parseImage(a.Value).short, key)
	}
	return nil
}

// checkOS compares the profile's operating system with what the Pod says. A Pod that says nothing
// is taken for one of Linux, where the restricted Pod Security Standard asks for more.
func checkOS(spec *corev1.PodSpec, a *artifact) *Problem {
	says, where := v1alpha1.Linux, ""
	if spec.OS != nil {
		says, where = v1alpha1.OS(spec.OS.Name), " (spec.os.name)"
	} else if value, ok := spec.NodeSelector[corev1.LabelOSStable]; ok {
		says, where = v1alpha1.OS(value), " (node selector "+corev1.LabelOSStable+")"
	}
	switch {
	case says == a.profile.OS:
		return nil
	case where == "":
		return newProblem(WrongOS, "profile %q is for %s, and the Pod does not say that it is; set its spec.os.name", a.profile.Name, a.profile.OS)
	default:
		return newProblem(WrongOS, "profile %q is for %s, and the Pod is for %s%s; choose another one with %s",
			a.profile.Name, a.profile.OS, quote(string(says)), where, annotation(workload.ProfileAnnotation, &a.Asked))
	}
}

// file is the name of the copied file, empty for what is in a folder.
func file(p *v1alpha1.Profile) string {
	switch {
	case strings.HasSuffix(p.Source, "/"):
		return ""
	case p.Rename != "":
		return p.Rename
	default:
		return path.Base(p.Source)
	}
}

// mountPath is where the server gets the mount: the folder, or the file alone, so that the image's
// own folder stays visible.
func mountPath(p *v1alpha1.Profile) string {
	if p.HideTarget {
		return p.Target
	}
	return path.Join(p.Target, file(p))
}
