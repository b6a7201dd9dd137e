package workload

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
)

func TestComponents(t *testing.T) {
	t.Parallel()
	const volume = `, volumes: [{name: v, emptyDir: {}}, {name: claim, persistentVolumeClaim: {claimName: c}}]}}`
	tests := map[string]struct {
		file   string
		object string
		want   []Component
	}{
		"an init container's image is the application of the server that reads its files": {
			file: "../../examples/01-war-init-container.yaml",
			want: []Component{
				{Name: "sample", Role: RoleApplication, Container: "war", Version: "v2", Field: "spec.initContainers[0].image", Precision: PrecisionFloating},
				{
					Name: "tomcat", Role: RoleServer, Container: "tomcat", Version: "7.0", Field: "spec.containers[0].image", Precision: PrecisionFloating,
					Refined: "7.0.42-v2", RefinedBy: "spec.containers[0].command[2]",
				},
			},
		},
		"a volume that says what it downloads is the application": {
			file: "../../examples/03-volume-with-download-url.yaml",
			want: []Component{
				{Name: "sample", Role: RoleApplication, Version: "v2", Field: "spec.volumes[0].flexVolume.options.downloadURL", Precision: PrecisionFloating},
				{
					Name: "tomcat", Role: RoleServer, Container: "tomcat", Version: "7.0", Field: "spec.containers[0].image", Precision: PrecisionFloating,
					Refined: "7.0.42-v2", RefinedBy: "spec.containers[0].command[2]",
				},
			},
		},
		"a tool that copies its own files is no application": {
			object: `{spec: {initContainers: [{name: i, image: "busybox:1.37.0", command: [cp, /etc/services, /v], volumeMounts: [{name: v, mountPath: /v}]}],
				containers: [{name: a, image: "nginx:1.27.3", volumeMounts: [{name: v, mountPath: /data}]}]` + volume,
			want: []Component{
				{Name: "busybox", Role: RoleTool, Container: "i", Version: "1.37.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "nginx", Role: RoleApplication, Container: "a", Version: "1.27.3", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"an init container that writes what it says itself is no application": {
			object: `{spec: {initContainers: [{name: i, image: "acme/init:1.0.0", command: [sh, -c, "echo hello > /v/index.html"], volumeMounts: [{name: v, mountPath: /v}]}],
				containers: [{name: a, image: "nginx:1.27.3", volumeMounts: [{name: v, mountPath: /data}]}]` + volume,
			want: []Component{
				{Name: "init", Role: RoleTool, Container: "i", Version: "1.0.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "nginx", Role: RoleApplication, Container: "a", Version: "1.27.3", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"an init container that copies from one volume to another is no application": {
			object: `{spec: {initContainers: [{name: i, image: "acme/init:1.0.0", command: [cp, /c/a, /v/a], volumeMounts: [{name: v, mountPath: /v}, {name: claim, mountPath: /c}]}],
				containers: [{name: a, image: "nginx:1.27.3", volumeMounts: [{name: v, mountPath: /data}]}]` + volume,
			want: []Component{
				{Name: "init", Role: RoleTool, Container: "i", Version: "1.0.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "nginx", Role: RoleApplication, Container: "a", Version: "1.27.3", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"an init container that copies a folder's files is the application": {
			object: `{spec: {initContainers: [{name: artifact, image: "acme/shop:2.0.0", command: [cp, -R, /app/., /plainspec/artifact], volumeMounts: [{name: v, mountPath: /plainspec/artifact}]}],
				containers: [{name: a, image: "nginx:1.27.3", volumeMounts: [{name: v, mountPath: /usr/share/nginx/html, readOnly: true}]}]` + volume,
			want: []Component{
				{Name: "shop", Role: RoleApplication, Container: "artifact", Version: "2.0.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "nginx", Role: RoleServer, Container: "a", Version: "1.27.3", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"a single file of a volume is the application of the server that mounts it": {
			object: `{spec: {initContainers: [{name: artifact, image: "acme/shop:2.0.0", command: [cp, /a.war, /plainspec/artifact/ROOT.war], volumeMounts: [{name: v, mountPath: /plainspec/artifact}]}],
				containers: [{name: a, image: "tomcat:9.0.1", volumeMounts: [{name: v, mountPath: /webapps/ROOT.war, subPath: ROOT.war}]}]` + volume,
			want: []Component{
				{Name: "shop", Role: RoleApplication, Container: "artifact", Version: "2.0.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "tomcat", Role: RoleServer, Container: "a", Version: "9.0.1", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"an init container of the server's own image brings nothing": {
			object: `{spec: {initContainers: [{name: i, image: "acme/shop:1.0.0", command: [cp, -r, /static, /v], volumeMounts: [{name: v, mountPath: /v}]}],
				containers: [{name: a, image: "acme/shop:1.0.0", volumeMounts: [{name: v, mountPath: /v}]}]` + volume,
			want: []Component{
				{Name: "shop", Role: RoleTool, Container: "i", Version: "1.0.0", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "shop", Role: RoleApplication, Container: "a", Version: "1.0.0", Field: "spec.containers[0].image", Precision: PrecisionExact},
			},
		},
		"the first container is the application, the others and native sidecars go beside it": {
			object: `{spec: {initContainers: [{name: s, image: "envoy:1.31.2", restartPolicy: Always}],
				containers: [{name: a, image: shop}, {name: b, image: "fluentd:1.17"}], ephemeralContainers: [{name: e, image: "netshoot@sha256:` + hash + `"}]}}`,
			want: []Component{
				{Name: "envoy", Role: RoleSidecar, Container: "s", Version: "1.31.2", Field: "spec.initContainers[0].image", Precision: PrecisionExact},
				{Name: "shop", Role: RoleApplication, Container: "a", Field: "spec.containers[0].image", Precision: PrecisionNone},
				{Name: "fluentd", Role: RoleSidecar, Container: "b", Version: "1.17", Field: "spec.containers[1].image", Precision: PrecisionFloating},
				{Name: "netshoot", Role: RoleTool, Container: "e", Version: "sha256:" + hash, Field: "spec.ephemeralContainers[0].image", Precision: PrecisionDigest},
			},
		},
		"an image volume is an application, once for two servers": {
			object: `{spec: {containers: [{name: a, image: "tomcat:9.0.1", volumeMounts: [{name: v, mountPath: /x}]}, {name: b, image: "tomcat:9.0.1", volumeMounts: [{name: v, mountPath: /x}]}],
				volumes: [{name: v, image: {reference: "acme/war:2.0.1"}}]}}`,
			want: []Component{
				{Name: "war", Role: RoleApplication, Version: "2.0.1", Field: "spec.volumes[0].image.reference", Precision: PrecisionExact},
				{Name: "tomcat", Role: RoleServer, Container: "a", Version: "9.0.1", Field: "spec.containers[0].image", Precision: PrecisionExact},
				{Name: "tomcat", Role: RoleServer, Container: "b", Version: "9.0.1", Field: "spec.containers[1].image", Precision: PrecisionExact},
			},
		},
		"an image that is no reference is called like its container": {
			object: `{spec: {containers: [{name: a, image: "a b"}]}}`,
			want:   []Component{{Name: "a", Role: RoleApplication, Container: "a", Field: "spec.containers[0].image", Precision: PrecisionNone}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := []byte(tc.object)
			if tc.file != "" {
				var err error
				if text, err = os.ReadFile(tc.file); err != nil {
					t.Fatal(err)
				}
			}
			raw, err := yaml.YAMLToJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			kind, _ := kinds.Find("", "Pod")
			object, err := Decode(raw, kind)
			if err != nil {
				t.Fatal(err)
			}
			got := NewReader().Read(object, Groups{}).Components("busybox")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Components (-want +got):\n%s", diff)
			}
		})
	}
}

const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
