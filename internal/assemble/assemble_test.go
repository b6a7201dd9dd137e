package assemble

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/validate"
)

// configuration is one with profiles for servers of the catalog.
func configuration(servers ...[]string) *v1alpha1.Configuration {
	config := &v1alpha1.Configuration{}
	for _, s := range servers {
		config.Completion.Profiles = append(config.Completion.Profiles, v1alpha1.Profile{
			Name: "p", Match: v1alpha1.Match{Servers: s}, Source: "/app/", Target: "/srv", HideTarget: true,
		})
	}
	v1alpha1.SetDefaults(config)
	return config
}

func TestServersOfProfiles(t *testing.T) {
	t.Parallel()
	const known = "the policies' catalog has no such server; it has airflow, caddy, cms, drupal, httpd, jetty, liberty, nginx, odoo, payara and 4 more"
	for name, tc := range map[string]struct {
		config *v1alpha1.Configuration
		want   string
	}{
		"no profiles":                   {configuration(), ""},
		"servers of the catalog":        {configuration([]string{"tomcat"}, []string{"nginx", "jetty"}), ""},
		"a profile for images":          {configuration(nil), ""},
		"a name that is none of theirs": {configuration([]string{"tomcat"}, []string{"nginx", "tomcta"}), `completion.profiles[1].match.servers[1]: Invalid value: "tomcta": ` + known},
		"an image instead of a server":  {configuration([]string{"tomee"}), `completion.profiles[0].match.servers[0]: Invalid value: "tomee": ` + known},
		"two of them":                   {configuration([]string{"a", "b"}), `[completion.profiles[0].match.servers[0]: Invalid value: "a": ` + known + `, completion.profiles[0].match.servers[1]: Invalid value: "b": ` + known + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Reviewer(t.Context(), Options{Config: tc.config, ConfigFile: "config.yaml"})
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "apply configuration config.yaml: ")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExampleByAnnotation holds that the application is found by nothing but the configuration and
// the catalog, and that no other rule minds what was put in.
func TestExampleByAnnotation(t *testing.T) {
	t.Parallel()
	config, err := v1alpha1.Load("../../examples/profiles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../examples/11-war-by-annotation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		image  string
		config *v1alpha1.Configuration
		want   string
	}{
		"the course's Tomcat":            {"geektime/tomcat:7.0", config, ""},
		"a stock Tomcat of the catalog":  {"registry.example.com/base/tomcat:9.0.1", config, ""},
		"an image that the catalog maps": {"acme/mytomcat:1.0.0", config, ""},
		"without profiles":               {"geektime/tomcat:7.0", configuration(), `inject.lost: artifact geektime/sample:v2 is not in the Pod: no profile matches container "tomcat" (geektime/tomcat): the configuration has no profiles; ask the platform team for one`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object, err := yaml.YAMLToJSON([]byte(strings.Replace(string(text), "geektime/tomcat:7.0", tc.image, 1)))
			if err != nil {
				t.Fatal(err)
			}
			reviewer, err := Reviewer(t.Context(), Options{Config: tc.config})
			if err != nil {
				t.Fatal(err)
			}
			request := validate.Request{Operation: validate.Create, Kind: "Pod", Name: "javaweb-2", User: "jane", Object: object}
			result, err := reviewer.Complete(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if request.Object, err = result.Apply(object); err != nil {
				t.Fatal(err)
			}
			decision, err := reviewer.Review(t.Context(), request, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for i := range decision.Judgements {
				got += decision.Judgements[i].Code + ": " + decision.Judgements[i].Text
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if injected := len(result.Done) == 1 && result.Done[0].What == mutate.Inject; injected != (tc.want == "") {
				t.Errorf("done %v", result.Done)
			}
		})
	}
}
