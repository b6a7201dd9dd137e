package workload

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatMayFillAnEmptyDir(t *testing.T) {
	t.Parallel()
	const scripts = ", {name: s, mountPath: /scripts}"
	for name, tc := range map[string]struct {
		command, mounts string
		want            string
	}{
		"its own image's program":                  {"[/bin/run, /m/x]", "", ClassScratch},
		"the program is in it":                     {"[/m/run]", "", ClassScratch},
		"a program on another volume":              {"[/scripts/run]", scripts, ClassFilled},
		"a shell runs a file of another volume":    {"[sh, /scripts/run.sh]", scripts, ClassFilled},
		"an argument names another volume":         {"[nginx, /scripts/x.conf]", scripts, ClassScratch},
		"a file of another volume is in it":        {"[nginx]", ", {name: s, mountPath: /m/index.html, subPath: x}", ClassFilled},
		"another volume is beside it":              {"[nginx]", ", {name: s, mountPath: /more}", ClassScratch},
		"the image runs what is mounted":           {"[nginx]", ", {name: s, mountPath: /docker-entrypoint.d/x.sh}", ClassFilled},
		"the image would run what is in it":        {"[nginx]", ", {name: v, mountPath: /docker-entrypoint.d}", ClassScratch},
		"the container mounts too much to compare": {"[nginx]", strings.Repeat(", {name: s, mountPath: /s}", mostMounts), ClassFilled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := read(t, "", "Pod", pod("  containers: [{name: c, command: "+tc.command+", volumeMounts: [{name: v, mountPath: /m}"+tc.mounts+"]}]\n"+
				"  volumes: [{name: v, emptyDir: {}}, {name: s, configMap: {name: s}}]"))
			if !slices.ContainsFunc(*w.Mounts.group(tc.want), func(m Mount) bool { return m.Path == "/m" }) {
				t.Errorf("the emptyDir is not %s: %q", tc.want, mounts(w))
			}
		})
	}
}
