package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
)

func extractOf(t *testing.T, group, kind, manifest string) auditv1alpha1.Manifest {
	t.Helper()
	object := decoded(t, group, kind, manifest)
	return NewReader().Read(object, Groups{}).Extract(object)
}

func TestExtract(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ group, kind, manifest, want string }{
		"nothing": {"", "Pod", pod("  containers: []"), "{}"},
		"each container with its role": {"", "Pod", pod(`
  initContainers:
  - {name: i, image: "a:1"}
  - {name: s, image: "b:1", restartPolicy: Always}
  containers: [{name: c, image: c}]
  ephemeralContainers: [{name: e, image: "d@sha256:0000000000000000000000000000000000000000000000000000000000000000"}]`), `
containers:
- {name: i, role: init, image: "a:1"}
- {name: s, role: sidecar, image: "b:1"}
- {name: c, role: main, image: c}
- {name: e, role: ephemeral, image: "d@sha256:0000000000000000000000000000000000000000000000000000000000000000"}`},
		"what it runs, and no variables, ports or probes": {"", "Pod", pod(`
  containers:
  - name: c
    image: a
    command: [java, --password]
    args: [s3cret, -jar, /data/app.jar]
    workingDir: /data
    env: [{name: A, value: s3cret}, {name: PASSWORD, value: s3cret}]
    ports: [{containerPort: 80}]
    livenessProbe: {exec: {command: [s3cret]}}
    lifecycle: {postStart: {exec: {command: [s3cret]}}}`), `
containers:
- {name: c, role: main, image: a, command: [java, --password], args: […, -jar, /data/app.jar], workingDir: /data}`},
		"arguments of the image's own program": {"", "Pod", pod(`
  containers: [{name: c, image: "registry.example.com/db/mysql:8", args: [-uroot, -ps3cret]}]`), `
containers: [{name: c, role: main, image: "registry.example.com/db/mysql:8", args: [-uroot, -p…]}]`},
		"volumes with their class, and mounts": {"", "Pod", pod(`
  initContainers: [{name: i, image: "a:1", volumeMounts: [{name: app, mountPath: /to}]}]
  containers:
  - name: c
    image: b
    volumeMounts:
    - {name: app, mountPath: /app, readOnly: true}
    - {name: disk, mountPath: /data/, subPath: www}
    - {name: gone, mountPath: /gone}
  volumes:
  - {name: app, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
  - {name: disk, flexVolume: {driver: alicloud/disk, options: {volumeId: s3cret, password: s3cret}}}
  - {name: bucket, csi: {driver: csi-s3, volumeAttributes: {accessKey: s3cret, config: "password=s3cret"}}}
  - {name: files, nfs: {server: files, path: "/jane:s3cret@www"}}
  - {name: code, gitRepo: {repository: "https://jane:s3cret@git.example.com/a.git", revision: v1}}
  - {name: image, image: {reference: "registry.example.com/oauth2-token:1"}}
  - {name: noImage, image: {reference: "https://jane:s3cret@example.com/a?token=s3cret"}}
  - {name: settings, configMap: {name: settings}}`), `
containers:
- {name: i, role: init, image: "a:1", mounts: [{volume: app, path: /to}]}
- {name: c, role: main, image: b, mounts: [{volume: app, path: /app, readOnly: true}, {volume: disk, path: /data, subPath: www}]}
volumes:
- {name: app, class: filled, source: emptyDir}
- {name: tmp, class: scratch, source: emptyDir}
- {name: disk, class: opaque, source: flexVolume alicloud/disk}
- {name: bucket, class: opaque, source: csi csi-s3}
- {name: files, class: opaque, source: "nfs files:/www"}
- {name: code, class: declared, source: gitRepo https://git.example.com/a.git}
- {name: image, class: image, source: "image registry.example.com/oauth2-token:1"}
- {name: noImage, class: image, source: "image https://example.com/a"}
- {name: settings, class: config, source: configMap settings}`},
		"references without tokens, and names of secrets as they are": {"", "Pod", pod(`
  containers:
  - {name: c, image: "app:ghp_0123456789abcdef0123"}
  - {name: d, image: "registry.example.com:5000/glpat-0123456789abcdef/auth:mine"}
  volumes:
  - {name: image, image: {reference: "token:ghp_0123456789abcdef0123"}}
  - {name: code, gitRepo: {repository: "https://jane:9/s3cret@git.example.com/a.git", revision: v1}}`), `
containers:
- {name: c, role: main, image: "app:…"}
- {name: d, role: main, image: "registry.example.com:5000/…/auth:mine"}
volumes:
- {name: image, class: image, source: "image token:…"}
- {name: code, class: declared, source: "gitRepo https://git.example.com/a.git"}`},
		"nothing of the platform": {"", "Pod", pod(`
  containers:
  - {name: c, image: b, volumeMounts: [{name: kube-api-access-x7k2p, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}
  volumes:
  - name: kube-api-access-x7k2p
    projected:
      sources:
      - serviceAccountToken: {path: token}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: []}`), `
containers: [{name: c, role: main, image: b}]`},
		"recommended labels alone, the template's first": {"apps", "Deployment", `
metadata:
  labels: {app.kubernetes.io/name: shop, app.kubernetes.io/version: v1, helm.sh/chart: shop-1.2.3, app.kubernetes.io/other: s3cret, team: s3cret}
  annotations: {a: s3cret}
spec: {template: {metadata: {labels: {app.kubernetes.io/version: v2, other: s3cret}, annotations: {b: s3cret}}, spec: {containers: []}}}`, `
labels: {app.kubernetes.io/name: shop, app.kubernetes.io/version: v2, helm.sh/chart: shop-1.2.3}`},
		"claims of a StatefulSet": {"apps", "StatefulSet", `
spec: {template: {spec: {containers: []}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: s3cret}}]}`, `
volumes: [{name: data, class: opaque, source: volumeClaimTemplate data}]`},
		"a template in a template": {"batch", "CronJob", `
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: a}]}}}}}`, `
containers: [{name: c, role: main, image: a}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want auditv1alpha1.Manifest
			if err := yaml.UnmarshalStrict([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, extractOf(t, tc.group, tc.kind, tc.manifest)); diff != "" {
				t.Errorf("extract (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnExtractIsBounded holds the bound, what comes first into it, and that the rest is counted.
func TestAnExtractIsBounded(t *testing.T) {
	t.Parallel()
	dear := strings.Repeat("<", 600) // six bytes each in JSON
	many := func(n int, format string) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(format, i))
		}
		return strings.Join(items, ",")
	}
	words := func(n int, word string) string { return `["` + strings.Join(make([]string, n), word+`","`) + `"]` }
	for name, tc := range map[string]struct {
		spec string
		want string // containers, volumes, mounts, words, omitted
	}{
		"many containers": {
			`{"containers":[` + many(500, `{"name":"c%03d","image":"a"}`) + `],"volumes":[{"name":"v"}]}`,
			"167 containers, 0 volumes, 0 mounts, 0 words, 334 omitted",
		},
		"many volumes": {
			`{"containers":[{"name":"c","image":"a"}],"volumes":[` + many(1000, `{"name":"v%03d"}`) + `]}`,
			"1 containers, 296 volumes, 0 mounts, 0 words, 704 omitted",
		},
		"many mounts": {
			`{"containers":[{"name":"c","image":"a","command":["run"],"volumeMounts":[` + many(1000, `{"name":"v","mountPath":"/m%03d"}`) + `]}],"volumes":[{"name":"v"}]}`,
			"1 containers, 1 volumes, 275 mounts, 1 words, 725 omitted",
		},
		"many words leave room for others": {
			`{"containers":[{"name":"c","image":"a","command":` + words(20000, "word") + `},{"name":"d","image":"a","command":["run"],"volumeMounts":[{"name":"v","mountPath":"/m"}]}],"volumes":[{"name":"v"}]}`,
			"2 containers, 1 volumes, 1 mounts, 586 words, 19415 omitted",
		},
		"dear texts": {
			`{"containers":[{"name":"c","image":"a","workingDir":"` + dear + `","command":` + words(20, dear) + `}],"volumes":[{"name":"` + dear + `"}]}`,
			"1 containers, 1 volumes, 0 mounts, 3 words, 17 omitted",
		},
		"scripts that are looked at": {
			`{"containers":[{"name":"c","image":"a","command":` + words(100, "password="+strings.Repeat("s3cret", 2000)) + `}]}`,
			"1 containers, 0 volumes, 0 mounts, 8 words, 92 omitted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := extractOf(t, "", "Pod", `{"spec":`+tc.spec+`}`)
			mounts, words := 0, 0
			for i := range got.Containers {
				mounts += len(got.Containers[i].Mounts)
				words += len(got.Containers[i].Command) + len(got.Containers[i].Args)
			}
			shown := fmt.Sprintf("%d containers, %d volumes, %d mounts, %d words, %d omitted", len(got.Containers), len(got.Volumes), mounts, words, got.Omitted)
			if shown != tc.want {
				t.Errorf("extract has %s, want %s", shown, tc.want)
			}
			if size := len(written(t, &got)); size > largestExtract {
				t.Errorf("extract has %d bytes, want at most %d", size, largestExtract)
			}
		})
	}
}

func written(t *testing.T, m *auditv1alpha1.Manifest) []byte {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzExtract holds that an extract is bounded and readable, and that what is never taken, and what
// stands behind a mark, is not in it.
func FuzzExtract(f *testing.F) {
	f.Add("a:1", "run --fast", "/data", "nfs")
	f.Add("a b", `x"'$(`+"`", "/\xff", "csi")
	f.Add(strings.Repeat("<", 3000), strings.Repeat("\\ ", 9000), strings.Repeat("é", 3000), "\n")
	kind, _ := kinds.Find("", "Pod")
	f.Fuzz(func(t *testing.T, image, script, path, source string) {
		const planted = "pl4nted5ecret"
		if strings.Contains(image+script+path+source, "pl4") {
			return
		}
		type object = map[string]any
		raw, err := json.Marshal(object{
			"metadata": object{"labels": object{"team": planted, VersionLabelKey: path}, "annotations": object{image: planted}},
			"spec": object{
				"containers": []object{{
					"name": path, "image": image, "workingDir": path, "env": []object{{"name": source, "value": planted}},
					"command": []string{"run", "--password", planted, "--token=" + planted, script}, "args": []string{"sh", "-c", script + "\n;X_TOKEN=" + planted},
					"volumeMounts": []object{{"name": "v", "mountPath": path, "subPath": script}},
				}},
				"volumes": []object{{"name": "v", source: object{"path": path, "options": object{image: planted}, "volumeAttributes": object{script: planted}}}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(raw, kind)
		if err != nil {
			return
		}
		extract := NewReader().Read(decoded, Groups{}).Extract(decoded)
		got := written(t, &extract)
		if bytes.Contains(got, []byte(planted)) {
			t.Errorf("the secret is in %s", got)
		}
		if len(got) > largestExtract || !utf8.Valid(got) || bytes.Contains(got, []byte(`\ufffd`)) {
			t.Errorf("%d bytes, valid: %v", len(got), utf8.Valid(got))
		}
	})
}
