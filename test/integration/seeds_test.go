package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seed reads a manifest of examples/.
func seed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.root, "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// replaced is text with the only occurrence of before replaced.
func replaced(t *testing.T, text, before, after string) string {
	t.Helper()
	if strings.Count(text, before) != 1 {
		t.Fatalf("%q stands %d times in the manifest, want once", before, strings.Count(text, before))
	}
	return strings.Replace(text, before, after, 1)
}

func TestExamplesAsKubectlApplyPrintsThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file       string
		wantStdout string
		wantGolden string // of what is printed about a refusal
	}{
		"01: a WAR as an init container's image is admitted": {
			file: "01-war-init-container.yaml", wantStdout: "pod/javaweb-2 created\n",
		},
		"02: a WAR on a disk is refused": {
			file: "02-volume-hidden-version.yaml", wantGolden: "02-refused",
		},
		"03: a download that names its version is admitted": {
			file: "03-volume-with-download-url.yaml", wantStdout: "pod/javaweb-2 created\n",
		},
		"04: nginx without a tag is refused, its Service is not": {
			file: "04-nginx-deployment-and-service.yaml", wantStdout: "service/nginx created\n", wantGolden: "04-refused",
		},
		"05: ubuntu without a tag is refused": {
			file: "05-ubuntu-vm.yaml", wantGolden: "05-refused",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := in(t, "seed-"+tc.file[:2], "")
			result := k.run("", "apply", "-f", "examples/"+tc.file)
			k.isWhatCheckSays(result, seed(t, tc.file))
			if result.Stdout != tc.wantStdout {
				t.Errorf("kubectl apply printed %q, want %q", result.Stdout, tc.wantStdout)
			}
			if tc.wantGolden == "" {
				if result.Stderr != "" || result.ExitCode != 0 {
					t.Errorf("kubectl apply: exit code %d: %s; want silence", result.ExitCode, result.Stderr)
				}
				return
			}
			if result.ExitCode != 1 {
				t.Errorf("kubectl apply: exit code %d, want 1", result.ExitCode)
			}
			golden(t, tc.wantGolden, result.Stderr)
		})
	}
}

func TestADownloadOfTheLatestReleaseIsRefused(t *testing.T) {
	t.Parallel()
	k := in(t, "seed-03-latest", "")
	manifest := replaced(t, seed(t, "03-volume-with-download-url.yaml"), "releases/download/v2/", "releases/latest/download/")
	result := k.run(manifest, "apply", "-f", "-")
	k.isWhatCheckSays(result, manifest)
	golden(t, "03-latest-refused", result.Stderr)
}

func TestNginxWithATagIsAdmittedAndItsServiceSelectsItsPods(t *testing.T) {
	t.Parallel()
	k := in(t, "seed-04-tagged", "")
	manifest := replaced(t, seed(t, "04-nginx-deployment-and-service.yaml"), "image: nginx\n", "image: nginx:1.27.3\n")
	if got, want := k.silent(manifest, "apply", "-f", "-"), "deployment.apps/nginx created\nservice/nginx created\n"; got != want {
		t.Errorf("kubectl apply printed %q, want %q", got, want)
	}
	k.isWhatCheckSays(k.run(manifest, "apply", "-f", "-", "--dry-run=server"), manifest)
	k.becomes("true,true,true,", "{range .items[*].endpoints[*]}{.conditions.ready},{end}", "endpointslices", "-l", "kubernetes.io/service-name=nginx")
	pods := k.get("{.items[*].metadata.name}", "pods", "-l", "app-name=my-nginx")
	targets := k.get("{.items[*].endpoints[*].targetRef.name}", "endpointslices", "-l", "kubernetes.io/service-name=nginx")
	for pod := range strings.FieldsSeq(pods) {
		if !strings.Contains(targets, pod) {
			t.Errorf("the Service selects %q, not the Pod %q", targets, pod)
		}
	}
	k.noFailedCreates()
}
