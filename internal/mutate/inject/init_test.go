package inject

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// injected is the init container that is planned for a server with some lines of its Pod spec and
// of its profile.
func injected(t *testing.T, spec, profile string) *corev1.Container {
	t.Helper()
	p := planner(t, `[{name: p, match: {images: [server]}, source: /app, target: /app, hideTarget: true`+profile+`}]`)
	parts, targets := p.Plan(podSpec(t, `{containers: [{name: server, image: "server:1"}]`+spec+`}`), ask(t, "artifact=x:1"))
	if len(parts.InitContainers) != 1 {
		t.Fatalf("nothing is injected: %s", targets[0].Problem.Text)
	}
	return &parts.InitContainers[0]
}

func TestSecurityContext(t *testing.T) {
	t.Parallel()
	// The allowed values are those of the restricted checks in k8s.io/pod-security-admission/policy.
	const standard = "allowPrivilegeEscalation: false\ncapabilities:\n  drop:\n  - ALL\nreadOnlyRootFilesystem: true\n"
	const seccomp = "seccompProfile:\n  type: RuntimeDefault\n"
	for name, tc := range map[string]struct {
		spec, profile string
		want          string
	}{
		"meets the restricted standard":      {want: standard + "runAsNonRoot: true\nrunAsUser: 65532\n" + seccomp},
		"has the profile's user":             {profile: ", init: {user: 1000}", want: standard + "runAsNonRoot: true\nrunAsUser: 1000\n" + seccomp},
		"has the profile's user, not theirs": {spec: ", securityContext: {runAsUser: 2000}", profile: ", init: {user: 1000}", want: standard + "runAsNonRoot: true\nrunAsUser: 1000\n" + seccomp},
		"is root for a profile with reason":  {profile: ", init: {user: 0, rootBecause: it must}", want: standard + "runAsUser: 0\n" + seccomp},
		"leaves the user to the Pod":         {spec: ", securityContext: {runAsUser: 2000}", want: standard + "runAsNonRoot: true\n" + seccomp},
		"does not leave root to the Pod":     {spec: ", securityContext: {runAsUser: 0}", want: standard + "runAsNonRoot: true\nrunAsUser: 65532\n" + seccomp},
		"does not leave no filter to the Pod": {
			spec: ", securityContext: {seccompProfile: {type: Unconfined}}", want: standard + "runAsNonRoot: true\nrunAsUser: 65532\n" + seccomp,
		},
		"goes without root as the Pod does": {spec: ", securityContext: {runAsNonRoot: true}", want: standard + "runAsNonRoot: true\nrunAsUser: 65532\n" + seccomp},
		"leaves a narrower filter to the Pod": {
			spec: ", securityContext: {seccompProfile: {type: Localhost, localhostProfile: x.json}}", want: standard + "runAsNonRoot: true\nrunAsUser: 65532\n",
		},
		"says only on Windows what it can": {
			spec: ", nodeSelector: {kubernetes.io/os: windows}", profile: ", os: windows, init: {command: [x]}", want: "runAsNonRoot: true\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, text(t, injected(t, tc.spec, tc.profile).SecurityContext)); diff != "" {
				t.Errorf("security context (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCopyResources(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec, profile string
		want          string
	}{
		"are requests that are also limits":      {want: `{"limits":{"cpu":"100m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}`},
		"are the profile's":                      {profile: ", init: {resources: {requests: {cpu: 10m}}}", want: `{"requests":{"cpu":"10m"}}`},
		"are none":                               {profile: ", init: {resources: {}}", want: `{}`},
		"leave out what the Pod limits":          {spec: ", resources: {limits: {cpu: 1}}", want: `{"limits":{"memory":"64Mi"},"requests":{"memory":"64Mi"}}`},
		"leave out what the Pod requests less":   {spec: ", resources: {requests: {memory: 63Mi}}", want: `{"limits":{"cpu":"100m"},"requests":{"cpu":"100m"}}`},
		"leave out limits above its requests":    {spec: ", resources: {requests: {memory: 1Mi}}", profile: ", init: {resources: {limits: {memory: 2Mi}}}", want: `{}`},
		"are within what the Pod requests":       {spec: ", resources: {requests: {memory: 64Mi}}", want: `{"limits":{"cpu":"100m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}`},
		"leave out the profile's, too":           {spec: ", resources: {limits: {cpu: 1}}", profile: ", init: {resources: {requests: {cpu: 10m}}}", want: `{}`},
		"leave out all that the Pod budgets for": {spec: ", resources: {requests: {memory: 1Mi}, limits: {cpu: 1}}", want: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := yaml.Marshal(injected(t, tc.spec, tc.profile).Resources)
			if err != nil {
				t.Fatal(err)
			}
			want, err := yaml.JSONToYAML([]byte(tc.want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(data)); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharedVolumes(t *testing.T) {
	t.Parallel()
	const (
		one    = "{name: one, match: {images: [server], artifacts: [one]}, source: /one, target: /app, hideTarget: true, "
		two    = "{name: two, match: {images: [server], artifacts: [two]}, source: /two, target: /app, hideTarget: true, "
		volume = "- emptyDir: {}\n  name: artifact-1\n"
		mount  = "- mountPath: /app\n  name: artifact-1\n"
	)
	for name, tc := range map[string]struct {
		profiles string
		want     string
	}{
		"are read-only if all may be":         {"[" + one + "readOnly: true}, " + two + "readOnly: true}]", volume + mount + "  readOnly: true\n"},
		"are writable if one must be":         {"[" + one + "readOnly: true}, " + two + "}]", volume + mount},
		"are writable if another must be":     {"[" + one + "}, " + two + "readOnly: true}]", volume + mount},
		"are as large as all together":        {"[" + one + "init: {sizeLimit: 100Mi}}, " + two + "init: {sizeLimit: 24Mi}}]", "- emptyDir:\n    sizeLimit: 124Mi\n  name: artifact-1\n" + mount},
		"have no limit if one has none":       {"[" + one + "init: {sizeLimit: 100Mi}}, " + two + "}]", volume + mount},
		"have no limit if the first has none": {"[" + one + "}, " + two + "init: {sizeLimit: 100Mi}}]", volume + mount},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := planner(t, tc.profiles)
			for range 2 { // the profiles' amounts are not added to
				parts, targets := p.Plan(podSpec(t, `{containers: [{name: server, image: "server:1"}]}`), ask(t, "artifact.1=one:1 artifact.2=two:1"))
				if len(parts.Volumes) != 1 {
					t.Fatalf("the volume is not shared: %v", targets)
				}
				if diff := cmp.Diff(tc.want, text(t, parts.Volumes)+text(t, parts.Mounts[0].Mounts)); diff != "" {
					t.Errorf("volume and mount (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestPlansShareNothingWithTheProfiles(t *testing.T) {
	t.Parallel()
	p := planner(t, `[{name: p, match: {images: [server]}, source: /app, target: /app, hideTarget: true,
		init: {user: 1, command: [copy], sizeLimit: 1Mi, resources: {requests: {cpu: 1}}}}]`)
	spec, asked := podSpec(t, `{containers: [{name: server, image: "server:1"}]}`), ask(t, "artifact=x:1")
	parts, _ := p.Plan(spec, asked)
	want := text(t, parts)
	c := &parts.InitContainers[0]
	c.Command[0], *c.SecurityContext.RunAsUser = "changed", 2
	c.Resources.Requests[corev1.ResourceMemory] = resource.MustParse("1Mi")
	parts.Volumes[0].EmptyDir.SizeLimit.Add(resource.MustParse("1Mi"))
	again, _ := p.Plan(spec, asked)
	if diff := cmp.Diff(want, text(t, again)); diff != "" {
		t.Errorf("changed parts change the next plan (-want +got):\n%s", diff)
	}
}
