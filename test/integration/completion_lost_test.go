package integration

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/test/cluster"
)

// other is somebody else's mutating webhook. The API server asks it after Plainspec, since it
// asks them in the order of their names.
type other struct {
	// again says that it is asked again when Plainspec has changed what it made.
	again bool
	// change is what it does to a Pod.
	change func(*corev1.Pod)
}

// ServeHTTP implements http.Handler.
func (o *other) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	patch, review, err := o.answer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json := admissionv1.PatchTypeJSONPatch
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: &json}
	review.Request = nil
	writeJSON(w, review)
}

func (o *other) answer(r *http.Request) ([]byte, *admissionv1.AdmissionReview, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil, err
	}
	review := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, review); err != nil {
		return nil, nil, err
	}
	before, after := &corev1.Pod{}, &corev1.Pod{}
	for _, p := range []*corev1.Pod{before, after} {
		if err := json.Unmarshal(review.Request.Object.Raw, p); err != nil {
			return nil, nil, err
		}
	}
	o.change(after)
	old, err := json.Marshal(before)
	if err != nil {
		return nil, nil, err
	}
	changed, err := json.Marshal(after)
	if err != nil {
		return nil, nil, err
	}
	operations, err := jsonpatch.CreatePatch(old, changed)
	if err != nil {
		return nil, nil, err
	}
	patch, err := json.Marshal(operations)
	return patch, review, err
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// interferes registers somebody else's webhook for the Pods of a namespace. Nobody else uses that, so
// it stays registered.
func (k kubectl) interferes(o *other) {
	k.t.Helper()
	server := httptest.NewTLSServer(o)
	k.t.Cleanup(server.Close)
	url := server.URL + "/"
	none, fail, policy := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail, admissionregistrationv1.NeverReinvocationPolicy
	if o.again {
		policy = admissionregistrationv1.IfNeededReinvocationPolicy
	}
	config := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "zz-" + k.namespace},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "other.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, ReinvocationPolicy: &policy,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: k.namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	api := shared.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := cluster.Put(k.t.Context(), api, config); err != nil {
		k.t.Fatal(err)
	}
	// The API server looks at registrations about once a second.
	eventually(k.t, func() bool {
		k.run(manifest(k.t, pod("probe", program("probe", "example.com/probe:1.0.0"))), "create", "-f", "-", "--dry-run=server")
		return k.wasAsked("other.example.com")
	}, func() string { return "the API server does not ask the other webhook" })
}

// wasAsked tells whether the API server has asked a mutating webhook in the namespace.
func (k kubectl) wasAsked(webhook string) bool {
	k.t.Helper()
	return slices.ContainsFunc(k.audited(), func(e auditEvent) bool {
		for key, value := range e.Annotations {
			if strings.HasPrefix(key, "mutation.webhook.admission.k8s.io/") && strings.Contains(value, `"`+webhook+`"`) {
				return true
			}
		}
		return false
	})
}

// initContainer is the place of the injected container.
func initContainer(p *corev1.Pod) int {
	return slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == "artifact" })
}

func removeArtifact(p *corev1.Pod) {
	p.Spec.InitContainers = slices.DeleteFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == "artifact" })
}

// rewritten is a change of the artifact's image.
func rewritten(image string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		if i := initContainer(p); i >= 0 {
			p.Spec.InitContainers[i].Image = image
		}
	}
}

// TestWhatOthersMakeOfAnArtifact judges the Pod as it is stored: what others substitute may pass,
// as long as the Pod still says and does what was asked.
func TestWhatOthersMakeOfAnArtifact(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "others", completion: profile})
	digest := "@sha256:" + strings.Repeat("a", 64)
	always := corev1.ContainerRestartPolicyAlways
	tests := map[string]struct {
		namespace string
		change    func(*corev1.Pod)
		asSidecar bool   // the server is a native sidecar
		want      string // the init container's image if the Pod is admitted
	}{
		"removes the init container": {namespace: "others-remove", change: removeArtifact},
		"moves it to the containers": {namespace: "others-main", change: func(p *corev1.Pod) {
			if i := initContainer(p); i >= 0 {
				p.Spec.Containers = append(p.Spec.Containers, p.Spec.InitContainers[i])
				removeArtifact(p)
			}
		}},
		"moves it after the server that reads": {namespace: "others-after", asSidecar: true, change: func(p *corev1.Pod) {
			if i := initContainer(p); i == 0 {
				p.Spec.InitContainers = append(p.Spec.InitContainers[1:], p.Spec.InitContainers[0])
			}
		}},
		"changes the version":         {namespace: "others-version", change: rewritten(shop + "2.0.0")},
		"takes the version away":      {namespace: "others-latest", change: rewritten("example.com/shop")},
		"puts another artifact there": {namespace: "others-artifact", change: rewritten("example.com/office:1.0.0")},
		"removes the server's mount": {namespace: "others-mount", change: func(p *corev1.Pod) {
			for i := range p.Spec.Containers {
				p.Spec.Containers[i].VolumeMounts = slices.DeleteFunc(p.Spec.Containers[i].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "artifact" })
			}
		}},
		"moves the server's mount": {namespace: "others-moved", change: func(p *corev1.Pod) {
			if initContainer(p) < 0 {
				return
			}
			mounts := slices.DeleteFunc(p.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "artifact" })
			p.Spec.Containers[0].VolumeMounts = append(mounts, corev1.VolumeMount{Name: "artifact", MountPath: "/elsewhere"})
		}},
		"takes a mirror registry": {
			namespace: "others-mirror", change: rewritten("mirror.example.net/cache/example.com/shop:1.0.0"), want: "mirror.example.net/cache/example.com/shop:1.0.0",
		},
		"pins the digest beside the tag": {namespace: "others-pin", change: rewritten(shop + "1.0.0" + digest), want: shop + "1.0.0" + digest},
		"pins the digest instead":        {namespace: "others-digest", change: rewritten("example.com/shop" + digest), want: "example.com/shop" + digest},
		"adds its own parts before": {namespace: "others-before", want: shop + "1.0.0", change: func(p *corev1.Pod) {
			if len(p.Spec.InitContainers) == 1 {
				p.Spec.InitContainers = slices.Insert(p.Spec.InitContainers, 0, corev1.Container{Name: "mesh", Image: "example.com/mesh:1.0.0", RestartPolicy: &always})
			}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := in(t, tc.namespace, "others")
			k.interferes(&other{again: true, change: tc.change})
			p := pod("web", shopServer("1.0.0"))
			if tc.asSidecar {
				p.Spec.InitContainers = p.Spec.Containers
				p.Spec.InitContainers[0].RestartPolicy = &always
				p.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.com/main:1.0.0"}}
			}
			result := k.run(manifest(t, p), "apply", "-f", "-")
			golden(t, "completion-"+tc.namespace, result.Stdout+result.Stderr)
			if (result.ExitCode == 0) != (tc.want != "") {
				t.Errorf("kubectl apply: exit code %d: %s%s", result.ExitCode, result.Stdout, result.Stderr)
			}
			if tc.want == "" {
				return
			}
			if got := k.get(`{.spec.initContainers[?(@.name=="artifact")].image}`, "pod/web"); got != tc.want {
				t.Errorf("the artifact's image is %q, want %q", got, tc.want)
			}
		})
	}
}

// TestPlainspecMendsWhatOthersTakeAway: it is asked again when somebody after it has changed the Pod.
func TestPlainspecMendsWhatOthersTakeAway(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "mends", completion: profile})
	k := in(t, "mends", "mends")
	k.interferes(&other{change: removeArtifact})
	k.silent(manifest(t, pod("web", shopServer("1.0.0"))), "apply", "-f", "-")
	if got := k.parts(".", "pod/web"); got != injected("1.0.0") {
		t.Errorf("the Pod has %q, want %q", got, injected("1.0.0"))
	}
}
