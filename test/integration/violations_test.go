package integration

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/workload"
	"plainspec.dev/plainspec/policies"
)

// violation is a Pod template that a rule finds something in, and no other rule denies.
type violation struct {
	labels      map[string]string
	annotations map[string]string
	init        []corev1.Container
	containers  []corev1.Container
	volumes     []corev1.Volume
}

// tomcat is a server whose applications come from a volume.
func tomcat(name string, volume corev1.VolumeSource) violation {
	return violation{
		containers: []corev1.Container{{
			Name: name, Image: "tomcat:9.0.89",
			VolumeMounts: []corev1.VolumeMount{{Name: name, MountPath: "/usr/local/tomcat/webapps"}},
		}},
		volumes: []corev1.Volume{{Name: name, VolumeSource: volume}},
	}
}

func program(name, image string) violation {
	return violation{containers: []corev1.Container{{Name: name, Image: image}}}
}

// violations has one for each rule, by code: a rule without one fails the tests of the brownfield.
func violations() map[string]violation {
	mislabelled := program("mislabelled", "example.com/shop:2.1.0")
	mislabelled.labels = map[string]string{"app.kubernetes.io/version": "1.0.0"}
	lost := program("lost", "example.com/lost-server:1.0.0") // no profile is for it
	lost.annotations = map[string]string{workload.ArtifactAnnotation: "example.com/lost:1.0.0"}
	return map[string]violation{
		"version.hidden_in_volume": tomcat("hidden", corev1.VolumeSource{
			FlexVolume: &corev1.FlexVolumeSource{Driver: "alicloud/disk", Options: map[string]string{"volumeId": "d-1"}},
		}),
		"version.unfilled_volume": tomcat("unfilled", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		"version.driver_without_version": tomcat("driver", corev1.VolumeSource{
			FlexVolume: &corev1.FlexVolumeSource{Driver: "geektime/war-vol", Options: map[string]string{
				"downloadURL": "https://example.com/releases/latest/download/shop.war",
			}},
		}),
		"image.no_version":       program("untagged", "nginx"),
		"image.invalid":          program("invalid", "example.com/the shop:1.0.0"),
		"image.moving_tag":       program("moving", "example.com/shop:stable"),
		"label.version_mismatch": mislabelled,
		"inject.lost":            lost,
	}
}

// story labels the Pods of the brownfield, so that a drain takes no other test's.
const story = "integration.plainspec.dev/story"

// template is a Pod template with some violations at once.
func template(labels map[string]string, all ...violation) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels), Annotations: map[string]string{}},
		// Nothing runs that would need time to end.
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64)},
	}
	for _, v := range all {
		maps.Copy(template.Labels, v.labels)
		maps.Copy(template.Annotations, v.annotations)
		template.Spec.InitContainers = append(template.Spec.InitContainers, v.init...)
		template.Spec.Containers = append(template.Spec.Containers, v.containers...)
		template.Spec.Volumes = append(template.Spec.Volumes, v.volumes...)
	}
	return template
}

// builtIn is the policy set that the server serves.
func builtIn(t *testing.T) *policy.Set {
	t.Helper()
	set, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// codes are the codes of the built-in rules; each has a violation.
func codes(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, rule := range builtIn(t).Rules() {
		if _, ok := violations()[rule.Code]; !ok {
			t.Errorf("rule %s has no violation in violations_test.go: what runs must be shown to survive it", rule.Code)
		}
		codes = append(codes, rule.Code)
	}
	return codes
}

// manifest is a list of objects for kubectl.
func manifest(t *testing.T, objects ...runtime.Object) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func deployment(name string, replicas int32, all ...violation) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, all...)},
	}
}

// pod is a bare Pod.
func pod(name string, all ...violation) *corev1.Pod {
	template := template(map[string]string{"app": name}, all...)
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: template.Labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
}

// job is a Job whose only Pod is made once it is resumed.
func job(name string, all ...violation) *batchv1.Job {
	suspend := true
	template := template(map[string]string{"app": name}, all...)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{Suspend: &suspend, Template: template},
	}
}

// brownfield is a workload of each kind with every violation, and a Deployment for each violation.
func brownfield(t *testing.T) []runtime.Object {
	t.Helper()
	byCode := violations()
	ours := violation{labels: map[string]string{story: "brownfield"}}
	all := make([]violation, 0, len(byCode))
	var objects []runtime.Object
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		all = append(all, byCode[code])
		objects = append(objects, deployment(deploymentOf(code), 1, byCode[code], ours))
	}
	return append(objects, workloads(append(all, ours)...)...)
}

// workloads is one of each kind that runs, named for its kind, with some violations at once.
func workloads(all ...violation) []runtime.Object {
	labels := func(name string) (map[string]string, *metav1.LabelSelector) {
		labels := map[string]string{"app": name}
		return labels, &metav1.LabelSelector{MatchLabels: labels}
	}
	one := int32(1)
	set, setSelector := labels("statefulset")
	daemon, daemonSelector := labels("daemonset")
	replica, replicaSelector := labels("replicaset")
	controller, _ := labels("replicationcontroller")
	controllerTemplate := template(controller, all...)
	cronJob := job("", all...)
	cronJob.Spec.Suspend = nil
	cronJob.Spec.Template.Labels["app"] = "cronjob"
	return []runtime.Object{
		deployment("deployment", 2, all...),
		&appsv1.StatefulSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}, ObjectMeta: metav1.ObjectMeta{Name: "statefulset"},
			Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: setSelector, Template: template(set, all...), PodManagementPolicy: appsv1.ParallelPodManagement},
		},
		&appsv1.DaemonSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Name: "daemonset"},
			Spec: appsv1.DaemonSetSpec{Selector: daemonSelector, Template: template(daemon, all...)},
		},
		&appsv1.ReplicaSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"}, ObjectMeta: metav1.ObjectMeta{Name: "replicaset"},
			Spec: appsv1.ReplicaSetSpec{Replicas: &one, Selector: replicaSelector, Template: template(replica, all...)},
		},
		&corev1.ReplicationController{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ReplicationController"}, ObjectMeta: metav1.ObjectMeta{Name: "replicationcontroller"},
			Spec: corev1.ReplicationControllerSpec{Replicas: &one, Selector: controller, Template: &controllerTemplate},
		},
		job("job", all...),
		&batchv1.CronJob{
			TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"}, ObjectMeta: metav1.ObjectMeta{Name: "cronjob"},
			Spec: batchv1.CronJobSpec{Schedule: "* * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: cronJob.Spec}},
		},
		pod("pod", all...),
	}
}

// deploymentOf is the name of the Deployment that has only one violation.
func deploymentOf(code string) string {
	name := []byte("only-" + code)
	for i, c := range name {
		if c == '.' || c == '_' {
			name[i] = '-'
		}
	}
	return string(name)
}
