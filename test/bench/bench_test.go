// Package bench measures a whole review next to the yardstick: a controller-runtime webhook that
// only decodes the Pod. See docs/performance.md.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/audit"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
	"plainspec.dev/plainspec/policies"
)

// templates is how many different Pods a benchmark goes through: more than the 4096 image
// references that are remembered, so that each is new when its turn comes again.
const templates = 5000

// marker stands in names and tags where the number of the template goes, five digits long.
const marker = "00000"

func BenchmarkReview(b *testing.B) {
	logf.SetLogger(logr.Discard())
	handlers := []struct {
		name    string
		handler http.Handler
	}{
		{"yardstick", yardstick(b)},
		{"plainspec", plainspec(b)},
	}
	for _, size := range sizes() {
		bodies := reviews(b, size.pod)
		for _, h := range handlers {
			wantAllowed := size.wantAllowed || h.name == "yardstick"
			b.Run(fmt.Sprintf("%s/%s", size.name, h.name), func(b *testing.B) {
				run(b, h.handler, bodies, fmt.Sprintf(`"allowed":%v`, wantAllowed))
			})
		}
	}
}

// size is one kind of Pod that is measured.
type size struct {
	name        string
	pod         *corev1.Pod
	wantAllowed bool
}

func sizes() []size {
	image := "registry.example.com/team/app:1." + marker + ".3"
	return []size{{"small", pod(1, 0, image), true}, {"denied", hidden(), false}, {"large", pod(10, 40, image), true}}
}

// run asks the handler, and fails if its answer does not have a text in it.
func run(b *testing.B, handler http.Handler, bodies [][]byte, want string) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(bodies[0])))
	for i := 0; b.Loop(); i++ {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/?timeout=5s", bytes.NewReader(bodies[i%len(bodies)]))
		request.Header.Set("Content-Type", "application/json")
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		if !bytes.Contains(response.Body.Bytes(), []byte(want)) {
			b.Fatalf("answer %s, want %s", response.Body, want)
		}
	}
}

// yardstick is a webhook that does nothing but decode.
func yardstick(b *testing.B) http.Handler {
	b.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	handler, err := admission.StandaloneWebhook(&admission.Webhook{Handler: decodeOnly(scheme)}, admission.StandaloneOptions{Logger: logr.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	return handler
}

// decodeOnly decodes the Pod, and admits it.
func decodeOnly(scheme *runtime.Scheme) admission.Handler {
	decoder := admission.NewDecoder(scheme)
	return admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		var pod corev1.Pod
		if err := decoder.Decode(req, &pod); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		return admission.Allowed("")
	})
}

func plainspec(b *testing.B) http.Handler {
	b.Helper()
	set, err := policy.Load(b.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		b.Fatal(err)
	}
	reviewer, err := validate.New(validate.Options{Set: set, Enforcement: validate.Enforce})
	if err != nil {
		b.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	validator, err := webhook.NewValidator(webhook.ValidatorOptions{Reviewer: reviewer, Recorder: recorder(b, registry), Registerer: registry})
	if err != nil {
		b.Fatal(err)
	}
	return webhook.NewHandler(validator)
}

// recorder writes to nowhere, as the server does to its standard output.
func recorder(b *testing.B, registry *prometheus.Registry) *audit.Recorder {
	b.Helper()
	recorder, err := audit.New(audit.Options{Sinks: []audit.Sink{audit.NewLog(io.Discard)}, Registerer: registry, Shutdown: time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var group errgroup.Group
	group.Go(func() error { return recorder.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			b.Error(err)
		}
	})
	return recorder
}

// reviews are the AdmissionReviews of a Pod, with the marker replaced by the template's number.
func reviews(b *testing.B, pod *corev1.Pod) [][]byte {
	b.Helper()
	object, err := json.Marshal(pod)
	if err != nil {
		b.Fatal(err)
	}
	dryRun := false
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:  types.UID("705ab4f5-6393-11e8-b7cc-42010a800002"),
			Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Name: pod.Name, Namespace: pod.Namespace, Operation: admissionv1.Create, DryRun: &dryRun,
			Object: runtime.RawExtension{Raw: object},
		},
	}
	review.Request.UserInfo.Username = "jane@example.com"
	review.Request.UserInfo.Groups = []string{"developers", "system:authenticated"}
	body, err := json.Marshal(review)
	if err != nil {
		b.Fatal(err)
	}
	bodies := make([][]byte, templates)
	for i := range bodies {
		bodies[i] = bytes.ReplaceAll(body, []byte(marker), fmt.Appendf(nil, "%05d", i+1))
	}
	return bodies
}

// pod is a Pod as an API server sends it: defaults filled in, the token volume, managed fields.
func pod(containers, env int, image string) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "app-" + marker, Namespace: "team", Labels: map[string]string{"app.kubernetes.io/name": "app"},
			Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat(`{"a":"b"}`, 20*containers)},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(managed(containers)),
			}},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: "default", RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: "default-scheduler",
			Volumes: []corev1.Volume{
				{Name: "kube-api-access-" + marker, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
				}}}},
				{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
			},
		},
	}
	for i := range containers {
		p.Spec.Containers = append(p.Spec.Containers, container(i, env, image))
	}
	return p
}

func container(i, env int, image string) corev1.Container {
	c := corev1.Container{
		Name: fmt.Sprintf("c%d", i), Image: image, Command: []string{"/bin/app"}, Args: []string{"--data=/var/lib/app", "--port", "8080"},
		Ports: []corev1.ContainerPort{{ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: "/var/lib/app"},
			{Name: "kube-api-access-" + marker, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true},
		},
		ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	for j := range env {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", j), Value: "some value"})
	}
	return c
}

// hidden is a Pod whose application is on a disk.
func hidden() *corev1.Pod {
	p := pod(1, 5, "team/tomcat:9."+marker+".1")
	p.Spec.Containers[0].VolumeMounts[0].MountPath = "/usr/local/tomcat/webapps"
	p.Spec.Containers[0].Args = nil
	p.Spec.Containers[0].Command = []string{"sh", "-c", "/usr/local/tomcat/bin/catalina.sh run"}
	return p
}

// managed is about as much text as the API server keeps of who set which field.
func managed(containers int) string {
	fields := make([]string, 0, containers)
	for i := range containers {
		fields = append(fields, fmt.Sprintf(`"k:{\"name\":\"c%d\"}":{".":{},"f:args":{},"f:command":{},"f:env":{},"f:image":{},"f:name":{},"f:ports":{},"f:resources":{}}`, i))
	}
	return `{"f:spec":{"f:containers":{` + strings.Join(fields, ",") + `}}}`
}
