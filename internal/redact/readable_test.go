package redact

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadable holds that what people need is not taken out of commands because it looks like a secret.
func TestReadable(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][]string{
		"folders and modes behind -p": {
			"mkdir -p $CATALINA_HOME/webapps", "mkdir -p data/apps", "cp -p shop.war webapps/", "install -p a b", "tar -xpf a.tar", "ssh -p port host", "virtualenv -p python3.11", "kubectl patch -p a pod b", "nc -p http",
			"tini -p SIGTERM -- java", "docker run -p 8080:80 -p http:80 shop", "exec mkdir -p webapps", "FOO=bar mkdir -p webapps",
		},
		"programs that are named after secrets": {
			"auth-service /srv/app.jar", "token-service --jar /srv/app.jar", "secret serve", "oauth2-proxy --config=/etc/oauth2-proxy.cfg", "exec auth-service run",
			"FOO=bar auth-service run", "sealed-secrets-controller --concurrent=5", "java -jar auth.jar /srv/x", "java -jar auth-service.jar run", "node auth.js run",
			"node auth /srv/app.js", "ssh h oauth2-proxy run",
		},
		"commands that are named after secrets": {
			"kubectl create secret generic foo", "kubectl get secret web-tls -o yaml", "docker login --password-stdin registry.example.com", "docker secret create foo",
			"gcloud auth login jane", "vault token lookup", "npm run auth /srv/app", "cat token /y/app.jar", "cp /etc/passwd data/", "rm -f token key.pem cookie jar", "unset PASSWORD TOKEN",
		},
		"options that only seem to be of secrets": {
			"vllm serve --max-num-batched-tokens 8192 --max-tokens=4096", "app --bypass=true --bypass yes", "app --monkey banana --hotkey=a --sort-key name --public-key=/a",
			"app --cookie-domain=.example.com --cookie-expire=168h --cookie-secure=true --token-refresh-interval=5m", "app --auth-server=https://idp.example.com/",
			"app --topologyKey=kubernetes.io/hostname topologyKey=kubernetes.io/zone", "app --disable-auth now --no-password now --enable-token-review now",
			"app --auth=true --auth off --secret none", "app --key-prefix x --auth-service y", "git config credential.helper store",
		},
		"files that hold secrets": {
			"etcd --client-key /certs/tls.key --tls-key=/certs/client.key", "app --token /run/secrets/app/token --password=/var/run/secrets/db", "app --auth /data/auth.json",
			"app --secret-key=/etc/app/key",
		},
		"an option behind a switch": {"mongod --auth --dbpath=/data/db", "mongod --auth --dbpath /data/db", "mongod --auth --bind_ip_all"},
		"users and groups": {
			"chroot --userspec=app:app /", "app --user=www-data:www-data", "app --user www-data:www-data", "su-exec www-data:nginx app", "docker run -u node:app shop",
			"app -u 1000:1000", "sudo -u jane:staff app", "app --user=nobody:nogroup", "sort -u a:b",
		},
		"modules and packages": {
			"gunicorn auth:app", "uvicorn token:application", "celery -A auth:app", "npm install npm:foo@1.2.3", "mvn maven:org.x:y:1.2@jar", "npm install npm:@scope/x@1.2",
		},
		"words that begin like tokens": {"app /models/sk-resnet-50-imagenet-classifier.bin", "app sk-learn-pipeline-2024-model", "app /opt/hf_models SG.x.y"},
		"what a shell runs inside":     {"java -cp $(pwd)/lib/a.jar:/b.jar Main", "cp `pwd`/a.jar /data", "cp $(pwd)/target/app.jar /data"},
		"paths and hosts": {
			"rsync jane@host:/a/b x:/y@z", "curl https://example.com:8443/@scope/b@1.2.tgz", "curl https://x.example.com/y,https://b/c.war", "mount nas-auth:/export/app /data",
			"curl -fsSLo a.tgz https://example.com/a.tgz", "curl -sSu jane https://example.com", "mysql -uroot -hprod-db shop", "ldapsearch -xH ldap://example.com",
		},
		"images": {"app --image=auth:1.2 my-auth:latest vault-token:1 registry:5000/auth@sha256:0a1b monkey:mine auth:2024.01.15-jdk17 external-secret:v0.9.1-ubi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, line := range commands {
				words := strings.Fields(line)
				if diff := cmp.Diff(words, command("", words...)); diff != "" {
					t.Errorf("words (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{"sh", "-c", line + "; next"}, command("", "sh", "-c", line+"; next")); diff != "" {
					t.Errorf("script (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestReadableText holds the same of messages and values.
func TestReadableText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`container "c" uses image auth:latest, whose tag moves`, `image "my-auth:latest" of container "auth" names no version`, "monkey:latest", "vault-token:1",
		"artifact auth:v2 cannot be injected", "nfs nas-auth:/export/app", "nfs secret:/export/app", "persistentVolumeClaim db-password", "secret my-token",
		"image gcr.io/x/password:1.2 and app/auth:mine", "example.com:5000/a:1@sha256:0a1b,b:2@sha256:0c1d", "csi secrets-store.csi.k8s.io",
		`label app.kubernetes.io/version "1.0" contradicts v2.0`, "basic authentication is on", "the password is wrong, identified as such", "name=shop,value=web",
		`{"name":"TZ","value":"UTC"}`, "mailto:jane@example.com",
	} {
		if got := Text(text); got != text {
			t.Errorf("Text(%q) = %q", text, got)
		}
	}
}
