package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatRunsWhere(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		container container
		want      []string
	}{
		"the first argument without a command may be the program or not": {
			container: container{Args: []string{"/data", "/data/x.conf"}},
			want:      []string{"  1 /data", "data  1 /data/x.conf"},
		},
		"an interpreter in the arguments is one": {
			container: container{Args: []string{"/bin/bash", "/srv/run.sh"}},
			want:      []string{"  1 /bin/bash", "bash  1 /srv/run.sh"},
		},
		"a script in the arguments of a shell says its programs": {
			container: container{Args: []string{"sh", "-c", "/srv/run"}},
			want:      []string{"run  0 /srv/run"},
		},
		"the image's own program runs in the working directory": {
			container: container{WorkingDir: "/code/"},
			want:      []string{"workingDir   0 /code"},
		},
		"a program runs where cd leads": {
			container: container{Command: []string{"sh", "-c", "cd /code; npm start"}},
			want:      []string{"workingDir npm  0 /code"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readCommands(&tc.container, "spec.containers[0]", scripts())
			if diff := cmp.Diff(tc.want, short(got.words)); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
		})
	}
}
