package workload

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"plainspec.dev/plainspec/internal/kinds"
)

// TestWhatIsTooLargeIsNotRead holds that few bytes cannot make many facts: each of these took
// seconds, and up to gigabytes, to judge.
func TestWhatIsTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	repeat := func(n int, text string) string { return strings.TrimSuffix(strings.Repeat(text+",", n), ",") }
	mounts := func(n int, path string) string {
		return `"volumeMounts":[` + repeat(n, `{"name":"v","mountPath":"`+path+`"}`) + `]`
	}
	attributes := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"%dimage":"a:1"`, i))
		}
		return `{"name":"v","csi":{"volumeAttributes":{` + strings.Join(list, ",") + `}}}`
	}
	asked := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"plainspec.dev/artifact.%d":"a:1"`, i))
		}
		return strings.Join(list, ",")
	}
	for name, tc := range map[string]struct {
		annotations, container, volumes string
		containers                      int
		wantTooHeavy                    bool
	}{
		"a large Pod is read":             {container: mounts(10, "/var/lib/app/data"), containers: 250},
		"a larger one is not":             {container: mounts(10, "/var/lib/app/data"), containers: 300, wantTooHeavy: true},
		"many attributes of one mount":    {container: mounts(1, "/a"), containers: 1, volumes: attributes(3000)},
		"many mounts of many attributes":  {container: mounts(3000, "/a"), containers: 1, volumes: attributes(3000), wantTooHeavy: true},
		"nothing but containers":          {containers: 500_000, wantTooHeavy: true},
		"nothing but arguments":           {container: `"args":[` + repeat(500_000, `"/v"`) + `]`, containers: 1, wantTooHeavy: true},
		"a class path of nothing else":    {container: `"args":["` + strings.Repeat("/v:", 500_000) + `"]`, containers: 1, wantTooHeavy: true},
		"nothing but variables":           {container: `"env":[` + repeat(500_000, `{}`) + `]`, containers: 1, wantTooHeavy: true},
		"a mount path of nothing else":    {container: mounts(1, strings.Repeat("/a", 2000)), containers: 1, wantTooHeavy: true},
		"a deep mount path":               {container: mounts(10, strings.Repeat("/a", 50)), containers: 1},
		"an artifact for a large Pod":     {annotations: asked(1), container: mounts(10, "/var/lib/app/data"), containers: 150},
		"artifacts for a Pod of nothing":  {annotations: asked(6000), containers: 1},
		"many artifacts for a large Pod":  {annotations: asked(100), container: mounts(10, "/a"), containers: 100, wantTooHeavy: true},
		"a script with colons is no list": {container: `"args":["sh","-c","` + strings.Repeat("a: b\\n", 2000) + `"]`, containers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod, _ := kinds.Find("", "Pod")
			_, err := Decode([]byte(`{"metadata":{"annotations":{`+tc.annotations+`}},"spec":{"containers":[`+repeat(tc.containers, `{`+tc.container+`}`)+`],"volumes":[`+tc.volumes+`]}}`), pod)
			if tooHeavy := (*TooHeavyError)(nil); errors.As(err, &tooHeavy) != tc.wantTooHeavy {
				t.Errorf("Decode gives %v, want too heavy: %v", err, tc.wantTooHeavy)
			}
		})
	}
}
