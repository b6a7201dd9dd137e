package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/workload"
)

// TestCheckSaysOfAnArtifactWhatTheServerSays holds the command line and the server together where
// a manifest asks for an artifact: both complete first, and judge what came of it.
func TestCheckSaysOfAnArtifactWhatTheServerSays(t *testing.T) {
	t.Parallel()
	const tomcat, sample = "geektime/tomcat:7.0", "geektime/sample:v2"
	asking := func(image, artifact string, more ...corev1.Container) violation {
		v := program("server", image)
		v.containers = append(v.containers, more...)
		v.annotations = map[string]string{workload.ArtifactAnnotation: artifact}
		return v
	}
	chosen := func(key, value string) violation {
		v := asking(tomcat, sample)
		v.annotations[key] = value
		return v
	}
	mounted := asking(tomcat, sample)
	mounted.containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/root/apache-tomcat-7.0.42-v2/webapps"}}
	mounted.volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	disagreeing := asking(tomcat, sample)
	disagreeing.init = []corev1.Container{{Name: "artifact", Image: "geektime/sample:v1"}}
	tests := map[string]struct {
		object    violation
		wantAdmit bool
	}{
		"an artifact that is injected":                   {object: asking(tomcat, sample), wantAdmit: true},
		"a second violation beside an injected one":      {object: asking(tomcat, sample, corev1.Container{Name: "web", Image: "nginx"})},
		"no profile for the server":                      {object: asking("example.com/shop-server:1.0.0", sample)},
		"no version of the artifact":                     {object: asking(tomcat, "geektime/sample:latest")},
		"no image reference":                             {object: asking(tomcat, "the sample")},
		"two servers":                                    {object: asking(tomcat, sample, corev1.Container{Name: "second", Image: tomcat})},
		"a profile that is not there":                    {object: chosen(workload.ProfileAnnotation, "jetty")},
		"a container that is not there":                  {object: chosen(workload.ContainerAnnotation, "tomcat")},
		"a strategy that is not there":                   {object: chosen(workload.ModeAnnotation, "copy")},
		"a path that is taken":                           {object: mounted},
		"an image that disagrees":                        {object: disagreeing},
		"annotations that mean nothing":                  {object: chosen(workload.AnnotationPrefix+"artefact", sample), wantAdmit: true},
		"a record that somebody else wrote":              {object: chosen(workload.InjectedAnnotation, "{}"), wantAdmit: true},
		"a record that nobody can read, and a new start": {object: chosen(workload.InjectedAnnotation, "no JSON")},
	}
	k := in(t, "check-annotated", "")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := kubectl{t: t, namespace: k.namespace}
			for _, text := range []string{manifest(t, deployment("web", 1, tc.object)), manifest(t, pod("web", tc.object))} {
				result := k.run(text, "create", "-f", "-", "--dry-run=server")
				if admitted := result.ExitCode == 0; admitted != tc.wantAdmit {
					t.Errorf("kubectl create: exit code %d: %s", result.ExitCode, result.Stderr)
				}
				k.isWhatCheckSays(result, text)
			}
		})
	}
}
