package integration

import (
	"strings"
	"testing"

	"plainspec.dev/plainspec/internal/workload"
)

// TestTheSameFileAgainChangesNothing is what keeps a GitOps tool, which applies the same files all
// day, from rolling out all day.
func TestTheSameFileAgainChangesNothing(t *testing.T) {
	t.Parallel()
	asking := program("server", "geektime/tomcat:7.0")
	asking.annotations = map[string]string{workload.ArtifactAnnotation: "geektime/sample:v2"}
	for kind, object := range ofEveryKind(t, asking) {
		text := manifest(t, object)
		for way, flags := range map[string][]string{"client": nil, "server": {"--server-side"}} {
			name := strings.ToLower(kind)
			t.Run(kind+" by "+way+"-side apply", func(t *testing.T) {
				t.Parallel()
				k := in(t, "again-"+name+"-"+way, "")
				with := func(verb string) []string { return append([]string{verb, "-f", "-"}, flags...) }
				look := func(path string) string { return k.get(path, name+"/"+name) }
				k.silent(text, with("apply")...)
				record, generation := look(`{..annotations.plainspec\.dev/injected}`), look("{.metadata.generation}")
				if record == "" {
					t.Fatal("nothing was injected")
				}
				if diff := k.silent(text, with("diff")...); diff != "" {
					t.Errorf("kubectl diff printed:\n%s", diff)
				}
				// Controllers write the status of a new object for a while.
				eventually(t, func() bool {
					before := look("{.metadata.resourceVersion}")
					k.silent(text, with("apply")...)
					return look("{.metadata.resourceVersion}") == before
				}, func() string { return "each apply writes the object again" })
				if after := look(`{..annotations.plainspec\.dev/injected}`); after != record {
					t.Errorf("the record was %s, and is %s", record, after)
				}
				if after := look("{.metadata.generation}"); after != generation {
					t.Errorf("the generation was %s, and is %s", generation, after)
				}
			})
		}
	}
}
