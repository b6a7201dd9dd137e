package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
	"plainspec.dev/plainspec/policies"
)

// recorder keeps what it is given.
type recorder struct{ records []auditv1alpha1.Rejection }

func (r *recorder) Record(rejection *auditv1alpha1.Rejection) {
	r.records = append(r.records, *rejection)
}

// planter makes secrets and knows where each was planted. Where a text is shown, it marks the secret
// in it as people do.
type planter struct {
	mark  string
	where map[string]string
}

// planted is what every secret begins with.
const planted = "pl4nted"

func (p *planter) plant(path string) string {
	secret := fmt.Sprintf(planted+"%04d", len(p.where))
	p.where[secret] = path
	return secret
}

// fill plants a secret in every text of a value: in each field, in the keys and values of maps, in
// one element of each list. What it cannot fill is left as it is.
func (p *planter) fill(v reflect.Value, path string) {
	switch v.Interface().(type) {
	case metav1.Time, metav1.MicroTime, resource.Quantity, metav1.FieldsV1, runtime.RawExtension:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				p.fill(v.Field(i), path+"."+field.Name)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		p.fill(v.Index(0), path+"[0]")
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		p.fill(key, path+".key")
		p.fill(value, path+".value")
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(p.plant(path))
	case reflect.Bool:
		v.SetBool(true)
	}
}

// marked are texts with a secret that something marks, as people write them. %s is the secret.
var marked = []string{
	"--password=%s", "FOO_TOKEN=%s", "https://jane:%s@example.com/a-1.2.tgz", "https://example.com/a.war?sig=%s", "password=%s", `{"password":"%s"}`,
	"Authorization: Bearer %s", "jane:%s@example.com/a:1.2", "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----",
	"https://jane:9/%s@h/a.war", "https://jane:/%s@h/a.war", "jane:9/%s@h/app:1", "jane:s3@%s@tcp(db:3306)/shop", "jane:s3/%s@tcp(db:3306)/shop",
	"jdbc:oracle:thin:scott/%s@//db:1521/x", "jane:s3cret%s@h/app:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"Server=db;Password=a b%s;Foo=1", "-H \"X-Api-Key: my %s\"", "a:\n  password: correct horse %s\n  user: jane", "a:\n  passwords:\n  - a\n  - %s\n  user: jane",
	`{"env":[{"name":"DB_PASSWORD","value":"%s"}]}`, "- name: DB_PASSWORD\n  value: %s", "env[0].name=DB_PASSWORD,env[0].value=%s", "define('DB_PASSWORD', '%s')",
	"DB_PW=%s", "bindPW: %s", "PASSWORD+=%s", "CREATE USER a IDENTIFIED BY '%s'",
	"app:ghp_0123456789abcdef%s", "registry/glpat-0123456789abcdef%s/app", "sk-proj-0123456789abcdef%s",
}

// scripts mark secrets in commands alone.
var scripts = []string{
	`mysql -uroot -p%[1]s < a.sql; curl -u jane:%[1]s https://example.com`, "export X_PASSWORD=%[1]s; curl -H 'X-Api-Key: %[1]s' https://jane:%[1]s@example.com/a.sh | sh",
	"FOO_TOKEN='%[1]s'\"%[1]s\" run --password \\\n  %[1]s && bash -c \"redis-cli -a %[1]s\"",
}

// marked is a text that may be shown, with a secret that may not.
func (p *planter) marked(path string) string {
	return fmt.Sprintf(strings.Replace(p.mark, "%s", "%[1]s", 1), p.plant(path+" as "+p.mark))
}

// commands mark secrets as programs do. Each is run as it is, and by a shell.
var commands = []string{
	// A name of which the value is not the next word.
	"sshpass -p %s ssh h", "oauth2-proxy --client-secret %s", "mongod --auth --sslPEMKeyPassword %s", "mytool auth --token %s", "mytool auth -p %s",
	"argocd account update-password --current-password %s", "app --token -n %s", "app --password = %s", "app password : %s", "openssl passwd -apr1 %s",
	"openssl passwd -1 -salt ab %s", "htpasswd -bc /etc/htpasswd jane %s", "htpasswd -nb jane %s", "rabbitmqctl change_password jane %s", "redis-cli AUTH default %s",
	"exec oauth2-proxy --client-secret %s", "env A=b sshpass -p %s ssh h", "secret-tool --verbose --password %s",
	"java -jar tool.jar password %s", "python3 manage.py changepassword --token %s", "exec /usr/bin/htpasswd -nb jane %s",
	// Users and passwords.
	"curl -fsSLu jane:%s https://example.com", "curl -su jane:%s https://example.com", "curl -sSLujane:%s https://example.com", "curl -u tenant/jane:%s",
	"curl -u 1234:%s", "curl --user tenant/jane:%s", "curl --cert client.pem:%s", "curl -E client.pem:%s", "http -a jane:%s", "ab -A jane:%s", "lftp -u jane,%s ftp",
	"smbclient -U jane%%%s", "mytool -su jane:%s", "sqlplus scott/%s@db", "sqlplus -s scott/%s@//db:1521/x", "app --user jane:%s", "app --login=jane:%s",
	// Letters.
	"docker login -u jane -p%s", "docker login -u jane -p=%s", "docker login -u jane -p /%s", "podman login -p 31415926/%s", "helm registry login -p %s",
	"mysqlslap -p%s", "mysqlbinlog -p%s", "mysql -spo%s", "mongo -p%s", "unrar x -p%s", "plink -pw %s", "mytool -p %s", "ldapsearch -xw %s", "snmpwalk -A %s -X %s",
	"mysql -h redis -p%s", "su-exec jane mytool -p %s", "kubectl exec p -- mytool -p %s", "ssh -p 22 h mytool -p %s", "sudo -u jane mysql -p%s", "timeout 5 mysql -p%s",
	// Names.
	"app DB_PW=%s", "app --db-pw=%s", "app --bind-pw %s", "app --passcode=%s", "env GOOGLE_CREDENTIALS_JSON=%s", "app --auth-json=%s", "npm config set //npm.example.com/:_authToken %s", "export PASSWORD+=%s",
	"openssl rsa -passin pass:%s", "helm --set env[0].name=DB_PASSWORD,env[0].value=%s", "kubectl create secret generic foo --from-literal=foo=%s",
	"aws configure set aws_secret_access_key %s", "redis-cli config set requirepass %s", "aws --parameters ParameterKey=DbPassword,ParameterValue=%s",
	// Forms.
	"curl https://hooks.slack.com/services/T00000000/B00000000/%s", "curl https://api.telegram.org/bot123456:%s/sendMessage", "app dckr_pat_0123456789abcdef%s",
	"app hf_0123456789abcdef%s", "app sk_live_0123456789abcdef%s", "app rk_live_0123456789abcdef%s", "app xapp-1-A0000-1234567890-%s", "app GOCSPX-0123456789abcdef%s",
	"app AGE-SECRET-KEY-1%s0123456789", "app SG.0123456789abcdef.0123456789abcdef%s", "app ya29.0123456789abcdef%s", "app dop_v1_0123456789abcdef%s",
	"app sk-0123456789abcdef%s", "app sk-ant-api03-0123456789abcdef%s",
}

// words mark secrets as one word of a command.
var words = []string{"jane doe:%s", "X-Api-Key: my %s", "-HX-Api-Key: my %s", "--user=jane doe:%s", "DB_PASSWORD=a %s", "Cookie: a %s"}

// texts are scripts and settings with secrets in them, as words of a command.
var texts = []string{
	"Basic %s", "Server=db;Password=a b%s;Foo=1", "Server=x;Pwd=a b c%s", "cat > /a <<EOF\npassword: correct horse %s\nEOF",
	"cat > /a <<EOF\npassword = correct horse %s\nEOF", "cat > /a <<EOF\n  passwords:\n  - a\n  - %s\n  b: c\nEOF", "cat > /a <<EOF\npassword: >-\n  a\n  %s\nb: c\nEOF",
	`{"a":"user: jane\npassword: a %s\n"}`, `curl -H "X-Api-Key: my %s"`, `--overrides={"env":[{"name":"DB_PASSWORD","value":"%s"}]}`,
	`{"env":[{"name": "DB_PASSWORD", "value": "%s"}]}`, "cat <<EOF\n- name: DB_PASSWORD\n  value: a %s\nEOF", "define('DB_PASSWORD', '%s');", `setenv("DB_PASSWORD", "%s")`,
	`echo "define('DB_PASSWORD', '%s');"`, "mysql -e \"CREATE USER a IDENTIFIED BY '%s'\"", `ALTER ROLE a WITH PASSWORD '%s'`, "run; oauth2-proxy --client-secret %s",
	"a && sshpass -p %s ssh h", "mysql $(cat /hosts) -p%s", "run --pass\"word\" %s", "machine h login jane password %s", "jane:s3@%s@tcp(db:3306)/shop",
}

// open are the fields of volume sources that a record shows, because they identify what is mounted.
// A secret in them that nothing marks cannot be known.
var open = []string{
	"Driver", "ClaimName", "Path", "Server", "Name", "SecretName", "VolumeID", "PDName", "DiskName", "ShareName", "VolumePath", "TargetPortal", "IQN",
	"Reference", "Repository", "Revision",
}

// volumes are one of each source that Kubernetes has, with secrets in every text.
func (p *planter) volumes() []corev1.Volume {
	var volumes []corev1.Volume
	kinds := reflect.TypeFor[corev1.VolumeSource]()
	for i := range kinds.NumField() {
		volume := corev1.Volume{Name: fmt.Sprintf("v%d", i)}
		source := reflect.ValueOf(&volume.VolumeSource).Elem().Field(i)
		path := "volumes." + kinds.Field(i).Name
		p.fill(source, path)
		for name, field := range source.Elem().Fields() {
			if field.Kind() == reflect.String && slices.Contains(open, name.Name) {
				field.SetString(p.marked(path + "." + name.Name))
			}
		}
		switch {
		case volume.ConfigMap != nil:
			volume.ConfigMap.Name = p.marked(path)
		case volume.FlexVolume != nil:
			volume.FlexVolume.Options = p.attributes(path)
		case volume.CSI != nil:
			volume.CSI.VolumeAttributes = p.attributes(path)
		}
		volumes = append(volumes, volume)
	}
	return volumes
}

// attributes are what a driver is told: downloads, images and settings.
func (p *planter) attributes(path string) map[string]string {
	return map[string]string{
		"setting": p.plant(path), "config": "password=" + p.plant(path), "downloadURL": p.marked(path), "image": p.marked(path), "token=" + p.plant(path): "https://example.com/a.tgz",
	}
}

// template is a Pod template with secrets in every field. What a record shows is harmless, or marked.
func (p *planter) template() corev1.PodTemplateSpec {
	var t corev1.PodTemplateSpec
	p.fill(reflect.ValueOf(&t).Elem(), "template")
	p.metadata(&t.ObjectMeta, "template")
	t.Spec.Volumes = p.volumes()
	t.Spec.InitContainers = []corev1.Container{p.container("i", p.marked("image"), nil)}
	t.Spec.Containers = []corev1.Container{p.container("c", "tomcat", t.Spec.Volumes), p.container("d", "mysql", nil)}
	t.Spec.Containers[1].Command = nil
	t.Spec.Containers[1].Args = []string{"-uroot", "-p" + p.plant("args of mysql")}
	var common corev1.Container
	p.fill(reflect.ValueOf(&common).Elem(), "ephemeral")
	common.Name, common.Image, common.Command, common.Args, common.WorkingDir, common.VolumeMounts = "e", "a", nil, nil, "", nil
	t.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(common)}}
	return t
}

func (p *planter) container(name, image string, volumes []corev1.Volume) corev1.Container {
	var c corev1.Container
	p.fill(reflect.ValueOf(&c).Elem(), "container")
	c.Name, c.Image, c.WorkingDir = name, image, "/srv/"+p.marked("workingDir")
	c.Command = []string{"mysql", "--password", p.plant("command"), "-p", p.plant("command"), "-p" + p.plant("command")}
	c.Args = []string{
		"--auth-token", p.plant("args"), "-u", "jane:" + p.plant("args"), "-H", "Cookie: a=" + p.plant("args"), "aws_secret_access_key", p.plant("args"),
		p.marked("args"), "/usr/local/tomcat/webapps/0/" + p.marked("args"),
	}
	for _, script := range scripts {
		c.Args = append(c.Args, "-c", fmt.Sprintf(script, p.plant("script")))
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: "APP_PASSWORD", Value: "/usr/local/tomcat/webapps/" + p.plant("env")})
	c.VolumeMounts = nil
	for i := range volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{
			Name: volumes[i].Name, MountPath: fmt.Sprintf("/usr/local/tomcat/webapps/%d/", i) + p.marked("mountPath"), SubPath: p.marked("subPath"),
		})
	}
	return c
}

// metadata keeps secrets where the metadata of an object is not shown, and puts in what people have there.
func (p *planter) metadata(m *metav1.ObjectMeta, path string) {
	m.Name, m.GenerateName, m.Namespace, m.OwnerReferences = "shop", "", "web", nil
	m.ManagedFields = nil
	m.Labels["app.kubernetes.io/name"], m.Labels["app.kubernetes.io/version"] = "shop", p.marked(path+".labels")
	m.Labels["app.kubernetes.io/"+p.plant(path+".labels")] = p.plant(path + ".labels")
	m.Annotations["plainspec.dev/artifact"] = p.marked(path + ".annotations")
	m.Annotations[corev1.LastAppliedConfigAnnotation] = fmt.Sprintf(`{"spec":{"env":[{"name":"A","value":%q}],"password":%q}}`, p.plant(path), p.plant(path))
}

// objects are one of each way in which a template stands in an object.
func (p *planter) objects() map[string]any {
	pod, template := corev1.Pod{}, p.template()
	p.fill(reflect.ValueOf(&pod).Elem(), "pod")
	pod.ObjectMeta, pod.Spec = *template.ObjectMeta.DeepCopy(), template.Spec
	deployment := appsv1.Deployment{}
	p.fill(reflect.ValueOf(&deployment).Elem(), "deployment")
	p.metadata(&deployment.ObjectMeta, "deployment")
	deployment.Spec.Template = template
	set := appsv1.StatefulSet{}
	p.fill(reflect.ValueOf(&set).Elem(), "statefulset")
	p.metadata(&set.ObjectMeta, "statefulset")
	set.Spec.Template = template
	set.Spec.VolumeClaimTemplates[0].Name = "data"
	cron := batchv1.CronJob{}
	p.fill(reflect.ValueOf(&cron).Elem(), "cronjob")
	p.metadata(&cron.ObjectMeta, "cronjob")
	cron.Spec.JobTemplate.Spec.Template = template
	return map[string]any{"/Pod": &pod, "apps/Deployment": &deployment, "apps/StatefulSet": &set, "batch/CronJob": &cron}
}

// talkative finds everything that rules can read of a workload but the raw object.
func talkative() fstest.MapFS {
	return fstest.MapFS{"rules/test/talkative/talkative.rego": {Data: []byte(`# METADATA
# title: Talkative
# description: Tells everything.
package policies.rules.test.talkative

# METADATA
# title: Talkative
# description: Tells everything.
# scope: document
# custom:
#   severity: low
#   mode: deny
#   message: '{{.Container}} {{.Volume}} {{.Field}} {{.Value}}: {{.Evidence}}'
#   fix: leave it out
#   since: "1.0"
findings contains {"container": image.container, "field": image.field, "value": image.value, "evidence": image.error} if {
	some image in input.workload.images.all
}

findings contains {"container": m.container, "volume": m.volume, "field": m.field, "value": m.path, "evidence": concat(" ", [m.source, m.target, m.subPath])} if {
	some group in input.workload.mounts
	some m in group
}

findings contains {"volume": m.volume, "field": d.field, "value": d.value, "evidence": concat(" ", array.concat([d.version], d.segments))} if {
	some group in input.workload.mounts
	some m in group
	some d in m.declarations
}

findings contains {"volume": m.volume, "field": r.field, "value": r.path, "evidence": concat(" ", [r.verb, r.flag])} if {
	some group in input.workload.mounts
	some m in group
	some r in m.references
}

findings contains {"field": l.field, "value": l.value, "evidence": "label"} if {
	some l in input.workload.labels
}

findings contains {"field": a.field, "value": a.value, "evidence": concat(" ", [a.problem, a.error])} if {
	some a in input.workload.artifacts
}
`)}}
}

// TestNothingLeaks holds that no secret comes out in what users, auditors and operators see, whatever
// field of an object it is in, while what is recorded is recorded.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]policy.Options{
		"built-in policies": {Library: policies.FS}, "a talkative policy": {Library: policies.FS, Overlay: talkative()},
	} {
		set, err := policy.Load(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		for i, mark := range marked {
			p := planter{mark: mark, where: make(map[string]string)}
			objects := p.objects()
			if len(p.where) < 1000 {
				t.Fatalf("only %d secrets are planted", len(p.where))
			}
			for j, kind := range slices.Sorted(maps.Keys(objects)) {
				by := outcomes[(i+j)%len(outcomes)]
				t.Run(fmt.Sprintf("%s, %s, %s, %s", name, kind, by.outcome, mark), func(t *testing.T) {
					t.Parallel()
					for what, text := range p.review(t, set, kind, objects[kind], by) {
						for rest := text; strings.Contains(rest, planted); {
							at := strings.Index(rest, planted)
							t.Errorf("%s tells the secret of %s: …%s", what, p.where[rest[at:at+len(planted)+4]], rest[max(at-60, 0):min(at+60, len(rest))])
							rest = rest[at+len(planted):]
						}
					}
				})
			}
		}
	}
}

// TestNoCommandLeaks holds that no secret comes out of a command that a program would find it in.
func TestNoCommandLeaks(t *testing.T) {
	t.Parallel()
	set, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	p, argvs := planter{where: make(map[string]string)}, map[string][]string{}
	for _, format := range commands {
		line := fmt.Sprintf(strings.ReplaceAll(format, "%s", "%[1]s"), p.plant(format))
		argvs[format], argvs[format+" in a shell"] = strings.Fields(line), []string{"sh", "-c", line}
	}
	for _, format := range texts {
		secret := p.plant(format)
		if format == "Basic %s" {
			secret = base64.StdEncoding.EncodeToString([]byte("jane:" + secret))
			p.where[secret] = format
		}
		text := fmt.Sprintf(format, secret)
		argvs[format], argvs[format+" in a shell"] = []string{"app", text}, []string{"sh", "-c", text}
	}
	for _, format := range words {
		argvs[format] = []string{"curl", "-u", fmt.Sprintf(format, p.plant(format))}
	}
	for name, argv := range argvs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "app", Command: argv}}}}
			for what, text := range p.review(t, set, "/Pod", &pod, outcomes[0]) {
				for secret := range p.where {
					if strings.Contains(text, secret) {
						t.Errorf("%s tells %s: %s", what, secret, text)
					}
				}
			}
		})
	}
}

// quotes is a reviewer that quotes the object when it panics.
type quotes struct{ validate.Reviewer }

func (*quotes) Review(_ context.Context, request validate.Request, _ time.Time) (validate.Decision, error) {
	panic("unexpected " + string(request.Object))
}

// TestNoPanicLeaks holds that what is logged of a panic has no secrets.
func TestNoPanicLeaks(t *testing.T) {
	t.Parallel()
	validator, err := webhook.NewValidator(webhook.ValidatorOptions{Reviewer: &quotes{Reviewer: *reviewer(t, validate.Enforce)}, Registerer: prometheus.NewRegistry(), Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx := logf.IntoContext(t.Context(), logr.FromSlogHandler(slog.NewJSONHandler(&log, nil)))
	validator.Handle(ctx, create("jane", `{"spec":{"args":["--password=`+planted+`"]}}`))
	if want := `"err":"unexpected {\"spec\":{\"args\":[\"--password=…\"]}}"`; !strings.Contains(log.String(), want) || strings.Contains(log.String(), planted) {
		t.Errorf("logs %s, want %s in it", log.String(), want)
	}
}

// way is how an outcome comes about.
type way struct {
	enforcement validate.Enforcement
	breakGlass  bool
	outcome     auditv1alpha1.Outcome
}

// outcomes are all outcomes; each object is reviewed for one of them.
var outcomes = []way{
	{validate.Enforce, false, auditv1alpha1.OutcomeDenied},
	{validate.Warn, false, auditv1alpha1.OutcomeObserved},
	{validate.Enforce, true, auditv1alpha1.OutcomeBypassed},
}

// review is all that comes out of a review.
func (p *planter) review(t *testing.T, set *policy.Set, kind string, object any, by way) map[string]string {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	reviewer, err := validate.New(validate.Options{Set: set, Enforcement: by.enforcement})
	if err != nil {
		t.Fatal(err)
	}
	kept, registry := &recorder{}, prometheus.NewRegistry()
	validator, err := webhook.NewValidator(webhook.ValidatorOptions{Reviewer: reviewer, Recorder: kept, Registerer: registry, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx := logf.IntoContext(t.Context(), logr.FromSlogHandler(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.Level(-127)})))
	group, name, _ := strings.Cut(kind, "/")
	request := create("jane", string(raw))
	request.Kind = metav1.GroupVersionKind{Group: group, Kind: name}
	request.UserInfo.Groups, request.UserInfo.UID = []string{planted + "-group"}, planted+"-uid"
	handler := admission.Handler(validator)
	if by.breakGlass {
		handler = validator.BreakGlass()
	}
	answer, err := json.Marshal(handler.Handle(ctx, request))
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.records) != 1 || kept.records[0].Outcome != by.outcome || len(kept.records[0].Findings) == 0 || len(kept.records[0].Manifest.Containers) == 0 {
		t.Fatalf("records are %+v, want one of %s with findings and a manifest; the answer is %s", kept.records, by.outcome, answer)
	}
	record, err := json.Marshal(kept.records[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(record) > 32<<10 {
		t.Errorf("the record has %d bytes", len(record))
	}
	return map[string]string{"the answer": string(answer), "the record": string(record), "the log": log.String(), "metrics": nonZero(t, registry)}
}

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }
