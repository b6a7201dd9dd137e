package inject

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// check holds a plan to what holds for every one of them.
func check(tb testing.TB, p *Planner, spec *corev1.PodSpec, asked []workload.Asked) (injected bool) {
	tb.Helper()
	before := spec.DeepCopy()
	parts, targets := p.Plan(spec, asked)
	if diff := cmp.Diff(before, spec); diff != "" {
		tb.Errorf("the spec was changed (-before +after):\n%s", diff)
	}
	parts2, targets2 := p.Plan(spec, asked)
	if diff := cmp.Diff(parts, parts2) + cmp.Diff(targets, targets2); diff != "" {
		tb.Errorf("the second time it is another plan:\n%s", diff)
	}
	if len(targets) != len(asked) {
		tb.Fatalf("%d artifacts make %d targets", len(asked), len(targets))
	}
	failed := len(asked) == 0
	for i := range targets {
		if diff := cmp.Diff(asked[i], targets[i].Asked); diff != "" {
			tb.Errorf("target %d is for another artifact (-want +got):\n%s", i, diff)
		}
		if problem := targets[i].Problem; problem != nil {
			failed = true
			if problem.Code == "" || problem.Field != asked[i].Field || strings.ContainsAny(problem.Text, "\n\r") || len(problem.Text) > 2000 {
				tb.Errorf("problem %+v is no sentence", problem)
			}
		}
	}
	if empty := cmp.Equal(Parts{}, parts); empty != failed {
		tb.Errorf("parts are empty: %t, a target has a problem: %t", empty, failed)
	}
	if failed {
		return false
	}
	for i := range parts.InitContainers {
		profile := slices.IndexFunc(p.options.Profiles, func(one v1alpha1.Profile) bool { return one.Name == targets[i].Profile })
		checkRights(tb, spec, &parts.InitContainers[i], p.options.Profiles[profile].Init.RootBecause != "")
	}
	completed := merge(spec, parts)
	checkNames(tb, completed)
	again, targets := p.Plan(completed, asked)
	if diff := cmp.Diff(parts, again); diff != "" {
		tb.Errorf("after injection it is another plan (-want +got):\n%s\n%+v", diff, targets)
	}
	return true
}

// checkRights holds an injected container to the restricted Pod Security Standard, with the fields
// that it leaves to the Pod, unless a profile gives a reason for root.
func checkRights(tb testing.TB, spec *corev1.PodSpec, c *corev1.Container, root bool) {
	tb.Helper()
	sc, pod := c.SecurityContext, corev1.PodSecurityContext{}
	if spec.SecurityContext != nil {
		pod = *spec.SecurityContext
	}
	user := pod.RunAsUser
	if sc.RunAsUser != nil {
		user = sc.RunAsUser
	}
	if sc.RunAsNonRoot != nil && !*sc.RunAsNonRoot || sc.RunAsNonRoot == nil && !root {
		tb.Errorf("container %q may run as root", c.Name)
	}
	if sc.RunAsNonRoot == nil && (pod.RunAsNonRoot != nil && *pod.RunAsNonRoot || pod.RunAsUser != nil && *pod.RunAsUser != 0) {
		tb.Errorf("container %q runs as root in a Pod that does not", c.Name)
	}
	if sc.Privileged != nil || sc.ProcMount != nil || sc.SELinuxOptions != nil || sc.WindowsOptions != nil || c.Ports != nil || c.Lifecycle != nil {
		tb.Errorf("container %q has more than a copy needs", c.Name)
	}
	if pod.WindowsOptions != nil && pod.WindowsOptions.HostProcess != nil && *pod.WindowsOptions.HostProcess {
		tb.Errorf("container %q is a process of the host", c.Name)
	}
	windows := spec.NodeSelector["kubernetes.io/os"] == "windows"
	if spec.OS != nil {
		windows = spec.OS.Name == corev1.Windows
	}
	if windows {
		if user != pod.RunAsUser {
			tb.Errorf("container %q has a user, which Windows does not know", c.Name)
		}
		return
	}
	if user == nil || *user == 0 && !root {
		tb.Errorf("container %q runs as root, or as the image's user", c.Name)
	}
	if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem ||
		!cmp.Equal(sc.Capabilities, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}) {
		tb.Errorf("container %q has rights: %v", c.Name, sc)
	}
	seccomp := pod.SeccompProfile
	if sc.SeccompProfile != nil {
		seccomp = sc.SeccompProfile
	}
	if seccomp == nil || seccomp.Type == corev1.SeccompProfileTypeUnconfined {
		tb.Errorf("container %q is not confined", c.Name)
	}
}

// checkNames compares what the API server wants to be unique.
func checkNames(tb testing.TB, spec *corev1.PodSpec) {
	tb.Helper()
	seen := map[string]bool{}
	once := func(what, name string) {
		if seen[what+name] {
			tb.Errorf("there are two %s %q", what, name)
		}
		seen[what+name] = true
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		once("containers", c.Name)
		for _, mount := range c.VolumeMounts {
			once("mounts of "+c.Name, clean(mount.MountPath))
		}
	}
	for _, volume := range spec.Volumes {
		once("volumes", volume.Name)
	}
}

// merge adds parts to a spec, except what is there.
func merge(spec *corev1.PodSpec, parts Parts) *corev1.PodSpec {
	spec = spec.DeepCopy()
	var inits []corev1.Container
	for _, c := range parts.InitContainers {
		if !slices.ContainsFunc(spec.InitContainers, func(there corev1.Container) bool { return there.Name == c.Name }) {
			inits = append(inits, c)
		}
	}
	for _, volume := range parts.Volumes {
		if !slices.ContainsFunc(spec.Volumes, func(there corev1.Volume) bool { return there.Name == volume.Name }) {
			spec.Volumes = append(spec.Volumes, volume)
		}
	}
	for _, all := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range all {
			for _, mounts := range parts.Mounts {
				if mounts.Container != all[i].Name {
					continue
				}
				for _, mount := range mounts.Mounts {
					if !slices.ContainsFunc(all[i].VolumeMounts, func(there corev1.VolumeMount) bool { return there.MountPath == mount.MountPath }) {
						all[i].VolumeMounts = append(all[i].VolumeMounts, mount)
					}
				}
			}
		}
	}
	spec.InitContainers = append(inits, spec.InitContainers...)
	return spec
}

// generator makes Pods of few words, so that they meet.
type generator struct{ *rand.Rand }

func (g generator) oneOf(words ...string) string { return words[g.IntN(len(words))] }

func (g generator) maybe() bool { return g.IntN(4) == 0 }

func (g generator) container(names *[]string) corev1.Container {
	i := g.IntN(len(*names))
	c := corev1.Container{Name: (*names)[i], Image: g.oneOf("tomcat:9", "tomee", "example/web:1", "example/root:1", "example/iis:1", "busybox", "", "No Image")}
	*names = slices.Delete(*names, i, i+1)
	seen := map[string]bool{}
	for range g.IntN(3) {
		mount := corev1.VolumeMount{Name: g.oneOf("artifact", "data"), MountPath: g.oneOf("/", "/data", "/www", "/www/", "/www/x", "/usr/local", "/usr/local/tomcat/webapps", "/webapps/ROOT.war", `C:\inetpub`)}
		if at := clean(mount.MountPath); !seen[at] {
			seen[at] = true
			c.VolumeMounts = append(c.VolumeMounts, mount)
		}
	}
	if g.maybe() {
		c.SecurityContext = &corev1.SecurityContext{Privileged: new(true), RunAsUser: new(int64(g.IntN(2) * 1000))}
	}
	return c
}

func (g generator) spec() *corev1.PodSpec {
	names := []string{"server", "web", "artifact", "artifact-a", "migrate", "log"}
	spec := &corev1.PodSpec{Containers: []corev1.Container{g.container(&names)}}
	for range g.IntN(3) {
		spec.Containers = append(spec.Containers, g.container(&names))
	}
	for range g.IntN(3) {
		c := g.container(&names)
		if g.maybe() {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		spec.InitContainers = append(spec.InitContainers, c)
	}
	if g.maybe() {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "data"})
	}
	if g.maybe() {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: g.oneOf("artifact", "artifact-b")})
	}
	if g.maybe() {
		spec.OS = &corev1.PodOS{Name: corev1.OSName(g.oneOf("linux", "windows"))}
	}
	if g.maybe() {
		spec.NodeSelector = map[string]string{"kubernetes.io/os": g.oneOf("linux", "windows")}
	}
	if g.maybe() {
		spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(g.IntN(2) * 1000)), SeccompProfile: &corev1.SeccompProfile{
			Type: corev1.SeccompProfileType(g.oneOf("Unconfined", "RuntimeDefault", "Localhost")),
		}}
		if g.maybe() {
			spec.SecurityContext.RunAsNonRoot = new(true)
		}
		if g.maybe() {
			spec.SecurityContext.WindowsOptions = &corev1.WindowsSecurityContextOptions{HostProcess: new(true)}
		}
	}
	return spec
}

func (g generator) annotations() map[string]string {
	annotations := map[string]string{}
	for range 1 + g.IntN(3) {
		name := g.oneOf("", ".a", ".b", ".c")
		if g.IntN(20) == 0 {
			name = ".B_"
		}
		annotations[workload.ArtifactAnnotation+name] = g.oneOf("x:1", "x:2", "example/pages:1", "example/more:1", "example/beside:1", "example/beside@sha256:"+strings.Repeat("0", 64))
		if g.IntN(20) == 0 {
			annotations[workload.ArtifactAnnotation+name] = g.oneOf("", "x", "x:latest", "X")
		}
		if g.maybe() {
			annotations[workload.ProfileAnnotation+name] = g.oneOf("tomcat", "tomcat-file", "pages", "below", "root", "iis", "none")
		}
		if g.maybe() {
			annotations[workload.ContainerAnnotation+name] = g.oneOf("server", "web", "log")
		}
		if g.IntN(20) == 0 {
			annotations[workload.ModeAnnotation+name] = g.oneOf("init", "sidecar")
		}
	}
	return annotations
}

func TestPlansOfGeneratedPods(t *testing.T) {
	t.Parallel()
	const plans = 4000
	p, injected := planner(t, profiles), 0
	codes := map[Code]bool{}
	for seed := range uint64(plans) {
		g := generator{rand.New(rand.NewPCG(seed, 0))}
		spec, annotations := g.spec(), g.annotations()
		asked, _ := read(t, annotations)
		if check(t, p, spec, asked) {
			injected++
		}
		_, targets := p.Plan(spec, asked)
		for _, target := range targets {
			if target.Problem != nil {
				codes[target.Problem.Code] = true
			}
		}
		if t.Failed() {
			data, err := json.Marshal(spec)
			t.Fatalf("seed %d: %v of %s (%v)", seed, annotations, data, err)
		}
	}
	for _, code := range []Code{NoProfile, UnknownProfile, UnknownContainer, AmbiguousServer, UnknownMode, InvalidName, InvalidArtifact, UnversionedArtifact, PathMounted, NameTaken, FileTaken, WrongOS, Privilege} {
		if !codes[code] {
			t.Errorf("no Pod was generated for %s", code)
		}
	}
	if injected < plans/20 {
		t.Errorf("only %d of %d generated Pods get their artifacts", injected, plans)
	}
}

func FuzzPlan(f *testing.F) {
	for seed := range uint64(20) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		spec, err := json.Marshal(g.spec())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(spec, ".a", g.oneOf("x:1", "example/pages:1"), g.oneOf("", "tomcat", "pages"), "", g.oneOf("", "server"))
	}
	p := planner(f, profiles)
	f.Fuzz(func(t *testing.T, data []byte, name, value, profile, mode, container string) {
		var spec corev1.PodSpec
		if json.Unmarshal(data, &spec) != nil {
			t.Skip("no Pod spec")
		}
		annotations := map[string]string{workload.ArtifactAnnotation: "example/pages:1", workload.ArtifactAnnotation + name: value}
		for key, choice := range map[string]string{workload.ProfileAnnotation: profile, workload.ModeAnnotation: mode, workload.ContainerAnnotation: container} {
			if choice != "" {
				annotations[key+name] = choice
			}
		}
		asked, _ := read(t, annotations)
		_, _ = p.Plan(&spec, asked)
	})
}
