package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

func TestValidateProfiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.Profile)
		want   []string // below completion.profiles[0]
	}{
		"a server, a file and a folder are enough": {change: func(*v1alpha1.Profile) {}},
		"an image is as good as a server": {
			change: func(p *v1alpha1.Profile) {
				p.Match = v1alpha1.Match{Images: []string{"tomcat", "shop/server", "registry.example.com:5000/shop/server", "docker.io/library/tomcat"}}
			},
		},
		"a folder over the target": {
			change: func(p *v1alpha1.Profile) { p.Source, p.HideTarget = "/app/", true },
		},
		"windows with a command": {
			change: func(p *v1alpha1.Profile) {
				p.OS, p.Init.Command = v1alpha1.Windows, []string{"copy.exe", "/app.war", "/plainspec/artifact"}
			},
		},
		"root with a reason": {
			change: func(p *v1alpha1.Profile) {
				p.Init.User, p.Init.RootBecause = new(int64(0)), "the server's folder belongs to root"
			},
		},
		"a name is needed": {
			change: func(p *v1alpha1.Profile) { p.Name = "" },
			want:   []string{"name: Required value: the annotation plainspec.dev/artifact-profile chooses a profile by its name"},
		},
		"a name is a DNS label": {
			change: func(p *v1alpha1.Profile) { p.Name = "Tomcat.9" },
			want:   []string{`name: Invalid value: "Tomcat.9": must be at most 63 lower case letters, digits and dashes, starting and ending with a letter or a digit`},
		},
		"a match is needed, and artifacts alone match no server": {
			change: func(p *v1alpha1.Profile) { p.Match = v1alpha1.Match{Artifacts: []string{"shop/app"}} },
			want:   []string{"match: Required value: name servers of the catalog in servers, or repositories in images"},
		},
		"entries of a match are not empty": {
			change: func(p *v1alpha1.Profile) {
				p.Match = v1alpha1.Match{Servers: []string{""}, Images: []string{""}, Artifacts: []string{""}}
			},
			want: []string{
				`match.servers[0]: Required value: write the name of a server of the catalog, such as "tomcat"`,
				`match.images[0]: Required value: write a repository, such as "shop/server" or "registry.example.com/shop/server"`,
				`match.artifacts[0]: Required value: write a repository, such as "shop/server" or "registry.example.com/shop/server"`,
			},
		},
		"repositories are well-formed": {
			change: func(p *v1alpha1.Profile) { p.Match.Images = []string{"Shop/Server"} },
			want:   []string{`match.images[0]: Invalid value: "Shop/Server": must be a repository: invalid reference format: repository name (Server) must be lowercase`},
		},
		"repositories have no tag and no digest": {
			change: func(p *v1alpha1.Profile) {
				p.Match.Images = []string{"shop/server:9"}
				p.Match.Artifacts = []string{"shop/app@sha256:" + strings.Repeat("a", 64)}
			},
			want: []string{
				`match.images[0]: Invalid value: "shop/server:9": must have no tag and no digest: a profile is for every version`,
				`match.artifacts[0]: Invalid value: "shop/app@sha256:` + strings.Repeat("a", 64) + `": must have no tag and no digest: a profile is for every version`,
			},
		},
		"a repository that no image has": {
			change: func(p *v1alpha1.Profile) { p.Match.Images = []string{"docker.io/tomcat"} },
			want:   []string{`match.images[0]: Invalid value: "docker.io/tomcat": is no image's full name: write docker.io/library/tomcat`},
		},
		"an unknown operating system": {
			change: func(p *v1alpha1.Profile) { p.OS = "darwin" },
			want:   []string{`os: Unsupported value: "darwin": supported values: "linux", "windows"`},
		},
		"source and target are needed": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Target = "", "" },
			want: []string{
				`source: Required value: write what is copied: a file, such as "/app.war", or a folder, such as "/app/"`,
				"target: Required value: write the folder that the server reads",
			},
		},
		"paths are absolute": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Target, p.Init.MountPath = "app.war", "webapps", "out" },
			want: []string{
				`source: Invalid value: "app.war": must be an absolute path below "/", without "." and ".." and doubled slashes`,
				`target: Invalid value: "webapps": must be an absolute path below "/", without "." and ".." and doubled slashes`,
				`init.mountPath: Invalid value: "out": must be an absolute path below "/", without "." and ".." and doubled slashes`,
			},
		},
		"paths are clean": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Target = "/a/../app.war", "/srv//webapps" },
			want: []string{
				`source: Invalid value: "/a/../app.war": must be an absolute path below "/", without "." and ".." and doubled slashes`,
				`target: Invalid value: "/srv//webapps": must be an absolute path below "/", without "." and ".." and doubled slashes`,
			},
		},
		"a whole image is neither source nor target": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Target, p.HideTarget = "/", "/", true },
			want: []string{
				`source: Invalid value: "/": must be an absolute path below "/", without "." and ".." and doubled slashes`,
				`target: Invalid value: "/": must not end with a slash`,
			},
		},
		"a source ends with one slash": {
			change: func(p *v1alpha1.Profile) { p.Source, p.HideTarget = "/app//", true },
			want:   []string{`source: Invalid value: "/app//": must be an absolute path below "/", without "." and ".." and doubled slashes`},
		},
		"a folder that is mounted is written without a slash at its end": {
			change: func(p *v1alpha1.Profile) { p.Target, p.Init.MountPath = "/srv/webapps/", "/out/" },
			want: []string{
				`target: Invalid value: "/srv/webapps/": must not end with a slash`,
				`init.mountPath: Invalid value: "/out/": must not end with a slash`,
			},
		},
		"a path that is mounted has no colon": {
			change: func(p *v1alpha1.Profile) { p.Target, p.Init.MountPath = "/srv:1", `C:\out` },
			want: []string{
				`target: Invalid value: "/srv:1": must have no colon`,
				`init.mountPath: Invalid value: "C:\\out": must have no colon`,
			},
		},
		"a folder hides its target": {
			change: func(p *v1alpha1.Profile) { p.Source = "/app/" },
			want: []string{"hideTarget: Required value: a folder is mounted over the target, which hides what the server's image has there: " +
				"write true if that is safe, or name a file in source"},
		},
		"a folder is not renamed": {
			change: func(p *v1alpha1.Profile) { p.Source, p.HideTarget, p.Rename = "/app/", true, "ROOT" },
			want:   []string{"rename: Forbidden: only a file can be renamed, and source is a folder"},
		},
		"a new name has no folder": {
			change: func(p *v1alpha1.Profile) { p.Rename = "../ROOT.war" },
			want:   []string{`rename: Invalid value: "../ROOT.war": must be the name of a file, without a folder`},
		},
		"a new name is not the folder itself": {
			change: func(p *v1alpha1.Profile) { p.Rename = "." },
			want:   []string{`rename: Invalid value: ".": must be the name of a file, without a folder`},
		},
		"a new name is not the folder above": {
			change: func(p *v1alpha1.Profile) { p.Rename = ".." },
			want:   []string{`rename: Invalid value: "..": must be the name of a file, without a folder`},
		},
		"a volume above the source hides it": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Init.MountPath = "/app/app.war", "/app" },
			want:   []string{`init.mountPath: Invalid value: "/app": must be outside of source, which the volume would hide: choose another path`},
		},
		"a volume in the source would be copied into itself": {
			change: func(p *v1alpha1.Profile) { p.Source, p.HideTarget, p.Init.MountPath = "/app/", true, "/app/out" },
			want:   []string{`init.mountPath: Invalid value: "/app/out": must be outside of source, which the volume would hide: choose another path`},
		},
		"a volume beside a source whose name starts alike": {
			change: func(p *v1alpha1.Profile) { p.Source, p.Init.MountPath = "/application.war", "/app" },
		},
		"windows needs a command": {
			change: func(p *v1alpha1.Profile) { p.OS = v1alpha1.Windows },
			want:   []string{"init.command: Required value: there is no cp on windows: write the command that brings source to mountPath"},
		},
		"a command starts with a program": {
			change: func(p *v1alpha1.Profile) { p.Init.Command = []string{"", "/app.war"} },
			want:   []string{"init.command[0]: Required value: write the program"},
		},
		"windows has no user": {
			change: func(p *v1alpha1.Profile) {
				p.OS, p.Init.Command, p.Init.User = v1alpha1.Windows, []string{"copy.exe"}, new(int64(1000))
			},
			want: []string{"init.user: Forbidden: windows has no user ids"},
		},
		"a user is not negative": {
			change: func(p *v1alpha1.Profile) { p.Init.User = new(int64(-1)) },
			want:   []string{"init.user: Invalid value: -1: must be from 0 to 2147483647"},
		},
		"a user is not larger than Kubernetes allows": {
			change: func(p *v1alpha1.Profile) { p.Init.User = new(int64(1 << 31)) },
			want:   []string{"init.user: Invalid value: 2147483648: must be from 0 to 2147483647"},
		},
		"root needs a reason, and a blank is none": {
			change: func(p *v1alpha1.Profile) { p.Init.User, p.Init.RootBecause = new(int64(0)), " " },
			want:   []string{"init.rootBecause: Required value: say why the copy must run as root, or choose another user"},
		},
		"a reason needs root": {
			change: func(p *v1alpha1.Profile) { p.Init.RootBecause = "why not" },
			want:   []string{"init.rootBecause: Forbidden: only user 0 is root"},
		},
		"a size is positive": {
			change: func(p *v1alpha1.Profile) { p.Init.SizeLimit = new(resource.MustParse("0")) },
			want:   []string{`init.sizeLimit: Invalid value: "0": must be greater than 0`},
		},
		"resources are checked": {
			change: func(p *v1alpha1.Profile) {
				p.Init.Resources = &corev1.ResourceRequirements{Limits: amounts("cpu", "-1")}
			},
			want: []string{`init.resources.limits[cpu]: Invalid value: "-1": must be greater than 0`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := profile("tomcat")
			tc.change(&p)
			checkCompletion(t, "completion.profiles[0].", tc.want, v1alpha1.Completion{Profiles: []v1alpha1.Profile{p}})
		})
	}
}

func TestValidateCompletion(t *testing.T) {
	t.Parallel()
	class := func(namespaces ...string) v1alpha1.ResourceClass {
		return v1alpha1.ResourceClass{Namespaces: namespaces}
	}
	tests := map[string]struct {
		completion v1alpha1.Completion
		want       []string // below completion
	}{
		"two profiles have two names": {
			completion: v1alpha1.Completion{Profiles: []v1alpha1.Profile{profile("a"), profile("b"), profile("a")}},
			want:       []string{`profiles[2].name: Duplicate value: "a"`},
		},
		"everything that can be filled in": {
			completion: v1alpha1.Completion{
				Resources: &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{
					{Namespaces: []string{"team-*", "web"}, Main: &corev1.ResourceRequirements{
						Requests: amounts("cpu", "100m", "memory", "64Mi", "ephemeral-storage", "1Gi"), Limits: amounts("cpu", "0.1", "memory", "1Gi"),
					}},
					class("batch"), // an empty class: nothing is filled in there
					{Init: &corev1.ResourceRequirements{}, Sidecar: &corev1.ResourceRequirements{}},
				}},
				Labels: &v1alpha1.Labels{Values: map[string]string{"component": "web", "part-of": "shop", "managed-by": "plainspec"}},
			},
		},
		"resources need a class": {
			completion: v1alpha1.Completion{Resources: &v1alpha1.Resources{}},
			want:       []string{"resources.classes: Required value: write at least one class, or leave out resources"},
		},
		"patterns of namespaces are well-formed": {
			completion: v1alpha1.Completion{Resources: &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{class("team-[a", "", `a\`)}}},
			want: []string{
				`resources.classes[0].namespaces[0]: Invalid value: "team-[a": must be a pattern such as "team-*": a bracket is not closed, or nothing follows a backslash`,
				`resources.classes[0].namespaces[1]: Required value: write a name or a pattern, such as "team-*"`,
				`resources.classes[0].namespaces[2]: Invalid value: "a\\": must be a pattern such as "team-*": a bracket is not closed, or nothing follows a backslash`,
			},
		},
		"a class for every namespace is the last one": {
			completion: v1alpha1.Completion{Resources: &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{class(), class("a")}}},
			want: []string{"resources.classes[0].namespaces: Required value: without them a class is for every namespace, and those after it are never taken: " +
				"name some, or move it to the end"},
		},
		"each role's amounts are checked": {
			completion: v1alpha1.Completion{Resources: &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{{
				Main:    &corev1.ResourceRequirements{Requests: amounts("cpu", "1", "memory", "2Gi"), Limits: amounts("cpu", "500m", "memory", "2Gi")},
				Init:    &corev1.ResourceRequirements{Requests: amounts("cpu", "0"), Limits: amounts("nvidia.com/gpu", "1")},
				Sidecar: &corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}},
			}}}},
			want: []string{
				`resources.classes[0].main.limits[cpu]: Invalid value: "500m": must be at least the request, which is 1`,
				`resources.classes[0].init.requests[cpu]: Invalid value: "0": must be greater than 0`,
				`resources.classes[0].init.limits[nvidia.com/gpu]: Unsupported value: "nvidia.com/gpu": supported values: "cpu", "memory", "ephemeral-storage"`,
				"resources.classes[0].sidecar.claims: Forbidden: only requests and limits are filled in",
			},
		},
		"no machine has an immense amount": {
			completion: v1alpha1.Completion{Resources: &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{{
				Main: &corev1.ResourceRequirements{Requests: amounts("cpu", "1e99999999"), Limits: amounts("cpu", "1", "memory", "8Ei")},
			}}}},
			want: []string{
				`resources.classes[0].main.requests[cpu]: Invalid value: "1e99999999": is more than any machine has`,
				`resources.classes[0].main.limits[memory]: Invalid value: "9223372036854775807": is more than any machine has`,
			},
		},
		"only some labels have fixed values": {
			completion: v1alpha1.Completion{Labels: &v1alpha1.Labels{Values: map[string]string{"version": "v1", "app.kubernetes.io/part-of": "shop"}}},
			want: []string{
				`labels.values[app.kubernetes.io/part-of]: Unsupported value: "app.kubernetes.io/part-of": supported values: "component", "managed-by", "part-of"`,
				`labels.values[version]: Unsupported value: "version": supported values: "component", "managed-by", "part-of"`,
			},
		},
		"nothing is said to be Helm's": {
			completion: v1alpha1.Completion{Labels: &v1alpha1.Labels{Values: map[string]string{"managed-by": "Helm"}}},
			want:       []string{`labels.values[managed-by]: Invalid value: "Helm": must not be Helm, who marks what it manages itself`},
		},
		"values of labels are values of labels": {
			completion: v1alpha1.Completion{Labels: &v1alpha1.Labels{Values: map[string]string{"component": "", "part-of": "the shop"}}},
			want: []string{
				"labels.values[component]: Required value: write a value, or leave out the label",
				`labels.values[part-of]: Invalid value: "the shop": must be at most 63 letters, digits, "-", "_" and ".", starting and ending with a letter or a digit`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkCompletion(t, "completion.", tc.want, tc.completion)
		})
	}
}

// checkCompletion validates a configuration with this completion after its defaults were set.
func checkCompletion(t *testing.T, prefix string, want []string, completion v1alpha1.Completion) {
	t.Helper()
	c := &v1alpha1.Configuration{Completion: completion}
	v1alpha1.SetDefaults(c)
	var got []string
	for _, err := range v1alpha1.Validate(c) {
		got = append(got, strings.TrimPrefix(err.Error(), prefix))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Validate() mismatch (-want +got):\n%s", diff)
	}
}

func profile(name string) v1alpha1.Profile {
	return v1alpha1.Profile{Name: name, Match: v1alpha1.Match{Servers: []string{"tomcat"}}, Source: "/app.war", Target: "/srv/webapps"}
}

// amounts makes a list of names and amounts in turn.
func amounts(pairs ...string) corev1.ResourceList {
	list := make(corev1.ResourceList, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}
