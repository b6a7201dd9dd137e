package inject

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// stored is what kube-apiserver 1.37 stores of the Pod that asks for geektime/sample:v2, with its
// defaults and the ServiceAccount plug-in's mount.
const stored = `{
	"name": "artifact", "image": "geektime/sample:v2", "command": ["cp", "/sample.war", "/plainspec/artifact"],
	"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
	"volumeMounts": [
		{"name": "artifact", "mountPath": "/plainspec/artifact"},
		{"name": "kube-api-access-k2xqz", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
	],
	"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
	"securityContext": {
		"capabilities": {"drop": ["ALL"]}, "runAsUser": 65532, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
		"allowPrivilegeEscalation": false, "seccompProfile": {"type": "RuntimeDefault"}
	}
}`

// TestRecordedHashes holds the hashes that clusters have in their annotations: when one changes,
// what was injected before becomes the user's.
func TestRecordedHashes(t *testing.T) {
	t.Parallel()
	parts, _ := planner(t, profiles).Plan(podSpec(t, `{containers: [{name: server, image: "tomcat:9"}]}`), ask(t, "artifact=geektime/sample:v2"))
	for name, tc := range map[string]struct{ got, want string }{
		"the init container":   {HashContainer(&parts.InitContainers[0]), "d6409aa7575fb2bb"},
		"the volume":           {HashVolume(&parts.Volumes[0]), "3f6051d90cdb532c"},
		"the mount":            {HashMount(&parts.Mounts[0].Mounts[0]), "c0282e1492466e79"},
		"the stored container": {HashContainer(decoded[corev1.Container](t, stored)), "d6409aa7575fb2bb"},
		"the stored volume":    {HashVolume(decoded[corev1.Volume](t, `{"name": "artifact", "emptyDir": {}}`)), "3f6051d90cdb532c"},
		"a volume of no kind":  {HashVolume(decoded[corev1.Volume](t, `{"name": "artifact"}`)), "3f6051d90cdb532c"},
		"the stored mount":     {HashMount(decoded[corev1.VolumeMount](t, `{"name": "artifact", "mountPath": "/usr/local/tomcat/webapps"}`)), "c0282e1492466e79"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.got != tc.want {
				t.Errorf("the hash is %s, want %s", tc.got, tc.want)
			}
		})
	}
}

func decoded[T any](t *testing.T, data string) *T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

func TestDefaultsAreNoDifference(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ written, stored string }{
		"an empty object of resources": {`{"name":"a"}`, `{"name":"a","resources":{}}`},
		"an unknown field":             {`{"name":"a"}`, `{"name":"a","ofALaterVersion":{"x":1}}`},
		"amounts in another unit":      {`{"resources":{"requests":{"cpu":"0.1"}}}`, `{"resources":{"requests":{"cpu":"100m"}}}`},
		"amounts that are rounded":     {`{"resources":{"requests":{"cpu":"0.1001"}}}`, `{"resources":{"requests":{"cpu":"101m"}}}`},
		"requests of a Pod":            {`{"resources":{"limits":{"cpu":"1"}}}`, `{"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}}`},
		"the pull policy of latest":    {`{"image":"x"}`, `{"image":"x","imagePullPolicy":"Always"}`},
		"the pull policy of a tag":     {`{"image":"x:1"}`, `{"image":"x:1","imagePullPolicy":"IfNotPresent"}`},
		"the pull policy of a digest": {
			`{"image":"x@sha256:` + strings.Repeat("0", 64) + `"}`, `{"image":"x@sha256:` + strings.Repeat("0", 64) + `","imagePullPolicy":"IfNotPresent"}`,
		},
		"the pull policy of no image": {`{"image":"X"}`, `{"image":"X","imagePullPolicy":"IfNotPresent"}`},
		"the protocol of a port":      {`{"ports":[{"containerPort":1}]}`, `{"ports":[{"containerPort":1,"protocol":"TCP"}]}`},
		"the version of a field":      {`{"env":[{"name":"a"},{"name":"b","valueFrom":{"fieldRef":{"fieldPath":"x"}}}]}`, `{"env":[{"name":"a"},{"name":"b","valueFrom":{"fieldRef":{"fieldPath":"x","apiVersion":"v1"}}}]}`},
		"the key of a file":           {`{"env":[{"name":"a","valueFrom":{"fileKeyRef":{"key":"x"}}}]}`, `{"env":[{"name":"a","valueFrom":{"fileKeyRef":{"key":"x","optional":false}}}]}`},
		"a probe by command": {
			`{"startupProbe":{"exec":{"command":["x"]}}}`,
			`{"startupProbe":{"exec":{"command":["x"]},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}}`,
		},
		"a probe by HTTP": {
			`{"readinessProbe":{"httpGet":{"port":1}}}`,
			`{"readinessProbe":{"httpGet":{"port":1,"path":"/","scheme":"HTTP","protocol":"HTTP1"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}}`,
		},
		"a probe by gRPC": {
			`{"livenessProbe":{"grpc":{"port":1}}}`,
			`{"livenessProbe":{"grpc":{"port":1,"service":""},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}}`,
		},
		"a handler by HTTP": {`{"lifecycle":{"preStop":{"httpGet":{"port":1}}}}`, `{"lifecycle":{"preStop":{"httpGet":{"port":1,"path":"/","scheme":"HTTP"}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := decoded[corev1.Container](t, tc.stored)
			before := c.DeepCopy()
			if written, stored := HashContainer(decoded[corev1.Container](t, tc.written)), HashContainer(c); written != stored {
				t.Errorf("%s as it is written, %s as it is stored", written, stored)
			}
			if !reflect.DeepEqual(before, c) {
				t.Error("the container was changed")
			}
		})
	}
}

func TestOtherMountsThanTheTokensCount(t *testing.T) {
	t.Parallel()
	plain := HashContainer(&corev1.Container{})
	const path = "/var/run/secrets/kubernetes.io/serviceaccount"
	for name, tc := range map[string]struct {
		mount corev1.VolumeMount
		same  bool
	}{
		"the plug-in's":        {corev1.VolumeMount{Name: "kube-api-access-x", MountPath: path, ReadOnly: true}, true},
		"of another volume":    {corev1.VolumeMount{Name: "token", MountPath: path, ReadOnly: true}, false},
		"at another path":      {corev1.VolumeMount{Name: "kube-api-access-x", MountPath: path + "/x", ReadOnly: true}, false},
		"that can be written":  {corev1.VolumeMount{Name: "kube-api-access-x", MountPath: path}, false},
		"of a part of it only": {corev1.VolumeMount{Name: "kube-api-access-x", MountPath: path, ReadOnly: true, SubPath: "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if same := HashContainer(&corev1.Container{VolumeMounts: []corev1.VolumeMount{tc.mount}}) == plain; same != tc.same {
				t.Errorf("the mount makes no difference: %t, want %t", same, tc.same)
			}
		})
	}
}

// TestEveryEditIsSeen changes each field of an element in turn: two values of it must make two
// hashes.
func TestEveryEditIsSeen(t *testing.T) {
	t.Parallel()
	t.Run("container", everyEditIsSeen(HashContainer))
	t.Run("volume", everyEditIsSeen(HashVolume))
	t.Run("mount", everyEditIsSeen(HashMount))
}

func everyEditIsSeen[T any](hash func(*T) string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		fields := leaves(reflect.TypeFor[T]())
		if len(fields) < reflect.TypeFor[T]().NumField() {
			t.Fatalf("only %d fields are compared", len(fields))
		}
		for _, field := range fields {
			var one, other T
			set(reflect.ValueOf(&one).Elem(), field, 1)
			set(reflect.ValueOf(&other).Elem(), field, 2)
			if a, b := hash(&one), hash(&other); a == b || a == "" {
				t.Errorf("%v: two values have the hash %q", field, a)
			}
		}
	}
}

// leaves are the paths of a type's fields that hold no others, as the names of fields.
func leaves(t reflect.Type) [][]string {
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		return [][]string{nil}
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		return leaves(t.Elem())
	case t.Kind() != reflect.Struct:
		return [][]string{nil}
	}
	var all [][]string
	for field := range t.Fields() {
		if field.Tag.Get("json") == "-" || !field.IsExported() {
			continue
		}
		if field.Type.String() == "intstr.Type" { // says which of the others counts
			continue
		}
		for _, below := range leaves(field.Type) {
			all = append(all, append([]string{field.Name}, below...))
		}
	}
	return all
}

// set gives a leaf one of two values, neither of which is a default.
func set(v reflect.Value, path []string, n int64) {
	switch {
	case v.Type() == reflect.TypeFor[resource.Quantity]():
		v.Set(reflect.ValueOf(*resource.NewQuantity(100+n, resource.DecimalSI)))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem(), path, n)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(v.Index(0), path, n)
	case v.Kind() == reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		set(value, path, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case v.Kind() == reflect.Struct:
		if path[0] == "StrVal" {
			v.FieldByName("Type").SetInt(1)
		}
		set(v.FieldByName(path[0]), path[1:], n)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("value-%d", n))
	case v.Kind() == reflect.Bool:
		v.SetBool(n == 2)
	case v.CanInt():
		v.SetInt(100 + n)
	case v.CanUint():
		v.SetUint(uint64(100 + n))
	default:
		panic("no value for " + v.Type().String())
	}
}

func TestAlteredByOthers(t *testing.T) {
	t.Parallel()
	const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	amounts := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}
	tests := map[string]struct {
		injected string // image; geektime/sample:v2 if empty
		asked    []string
		alter    func(c *corev1.Container)
		want     bool
	}{
		"a mirror of the registry":            {alter: func(c *corev1.Container) { c.Image = "mirror.example.com/geektime/sample:v2" }, want: true},
		"a mirror that puts the path in one":  {alter: func(c *corev1.Container) { c.Image = "mirror.example.com/geektime-sample:v2" }, want: true},
		"a digest added":                      {alter: func(c *corev1.Container) { c.Image += "@" + digest }, want: true},
		"a digest in place of the tag":        {alter: func(c *corev1.Container) { c.Image = "geektime/sample@" + digest }, want: true},
		"a LimitRange's amounts":              {alter: func(c *corev1.Container) { c.Resources.Limits = amounts }, want: true},
		"variables":                           {alter: func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "A", Value: "b"}} }, want: true},
		"an image that is always pulled":      {alter: func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways }, want: true},
		"a mirror and a LimitRange's amounts": {alter: func(c *corev1.Container) { c.Image, c.Resources.Limits = "mirror.example.com/sample:v2", amounts }, want: true},
		"what was asked for before": {
			asked: []string{"geektime/sample:v3", "geektime/sample:v2"}, alter: func(c *corev1.Container) { c.Image = "mirror.example.com/sample:v2" }, want: true,
		},
		"another version":       {alter: func(c *corev1.Container) { c.Image = "geektime/sample:v3" }},
		"another image":         {alter: func(c *corev1.Container) { c.Image = "geektime/other:v2" }},
		"no version":            {alter: func(c *corev1.Container) { c.Image = "geektime/sample" }},
		"no reference":          {alter: func(c *corev1.Container) { c.Image = "<image>" }},
		"what nobody asked for": {asked: []string{"geektime/sample:v3"}, alter: func(c *corev1.Container) { c.Image = "mirror.example.com/sample:v2" }},
		"a mirror and another command": {alter: func(c *corev1.Container) {
			c.Image, c.Command = "mirror.example.com/geektime/sample:v2", []string{"true"}
		}},
		"another digest than the asked one": {
			injected: "geektime/sample:v2@" + digest, alter: func(c *corev1.Container) {
				c.Image = "geektime/sample:v2@" + strings.Replace(digest, "9f", "00", 1)
			},
		},
		"a mirror of a pinned one": {
			injected: "geektime/sample:v2@" + digest, alter: func(c *corev1.Container) { c.Image = "mirror.example.com/sample@" + digest }, want: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			injected := corev1.Container{Name: "artifact", Image: cmp.Or(tc.injected, "geektime/sample:v2"), Command: []string{"cp", "/a", "/b"}}
			hash := HashContainer(&injected)
			if tc.asked == nil {
				tc.asked = []string{injected.Image}
			}
			stored := injected.DeepCopy()
			tc.alter(stored)
			if got := Altered(stored, hash, tc.asked, []corev1.ResourceRequirements{{}}); got != tc.want {
				t.Errorf("Altered = %t, want %t", got, tc.want)
			}
		})
	}
}
