package corpus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
)

// TestOwnCases judges Pods of one container with one volume: patterns that published manifests do
// not show, and those that must never be denied.
func TestOwnCases(t *testing.T) {
	t.Parallel()
	reviewer := newReviewer(t)
	for name, tc := range map[string]struct {
		container string // members of the container
		path      string // where it mounts the volume
		volume    string // the volume's source, a claim if empty
		want      string // deny, warn or pass, by the version.* rules
	}{
		"java runs a jar of a claim":                         {`image: 'eclipse-temurin:21.0.2', command: [java, -Xmx1g, -jar, /data/app.jar]`, "/data", ``, "deny"},
		"WildFly's deployments on a claim":                   {`image: 'quay.io/wildfly/wildfly:30.0.1'`, "/opt/jboss/wildfly/standalone/deployments", ``, "deny"},
		"Jetty's applications on a claim":                    {`image: 'jetty:12.0.1'`, "/var/lib/jetty/webapps", ``, "deny"},
		"Python runs a file on NFS":                          {`image: 'python:3.12.1', command: [python, -u, /srv/main.py]`, "/srv", `nfs: {server: nas, path: /code}`, "deny"},
		"a script changes into the claim and runs a file":    {`image: 'python:3.12.1', command: [sh, -c, 'cd /srv/x && exec python main.py']`, "/srv", ``, "deny"},
		"a shell runs a script of a disk":                    {`image: 'shop:1.0.0', command: [/bin/sh, -e, /mnt/x/start.sh]`, "/mnt/x", `azureDisk: {diskName: x}`, "deny"},
		"npm starts what is in its working directory":        {`image: 'node:20.1.0', workingDir: /usr/src/app, command: [npm, start]`, "/usr/src/app", ``, "deny"},
		"gunicorn in an own image may load its own packages": {`image: 'shop:1.2.0', workingDir: /srv/x, command: [gunicorn, 'app:app']`, "/srv/x", ``, "warn"},
		"PHP's folder on a claim":                            {`image: 'php:8.2.1-apache'`, "/var/www/html", ``, "deny"},
		"one application of Tomcat on a claim":               {`image: 'bitnami/tomcat:10.1.2'`, "/opt/bitnami/tomcat/webapps/shop", ``, "deny"},
		"the arguments name an interpreter and its file":     {`image: 'shop:1.0.0', args: [python, /mnt/x/app.py]`, "/mnt/x", ``, "deny"},
		"the arguments name the folder of data":              {`image: 'files:1.0.0', args: [/data]`, "/data", ``, "pass"},
		"the arguments name a configuration in the volume":   {`image: 'redis:7.2.4', args: [redis-server, /data/redis.conf]`, "/data", ``, "pass"},
		"an option of the program, not of java":              {`image: 'eclipse-temurin:21.0.2', command: [java, -jar, /app.jar, -p, /data/in]`, "/data", ``, "pass"},
		"an option of the program, not of node":              {`image: 'node:20.1.0', command: [node, server.js, -r, /data/recordings]`, "/data", ``, "pass"},
		"an option of the program, not of php":               {`image: 'php:8.2.1', command: [php, /app/import.php, -f, /data/in.csv]`, "/data", ``, "pass"},
		"node loads a module of a claim first":               {`image: 'node:20.1.0', command: [node, -r, /data/first.js, server.js]`, "/data", ``, "deny"},
		"a script reads another of a claim":                  {`image: 'shop:1.0.0', command: [sh, -c, '. /mnt/x/start.sh']`, "/mnt/x", ``, "deny"},
		"a script reads settings of a claim":                 {`image: 'shop:1.0.0', command: [sh, -c, '. /data/settings.env && shop']`, "/data", ``, "pass"},
		"a variable names the jar":                           {`image: 'eclipse-temurin:21.0.2', command: [java, -jar, $(JAR)], env: [{name: JAR, value: /data/app.jar}]`, "/data", ``, "deny"},
		"bash with options runs a jar":                       {`image: 'eclipse-temurin:21.0.2', command: [bash, -euo, pipefail, -c, 'exec java -jar /data/app.jar']`, "/data", ``, "deny"},
		"a subshell looks at the claim":                      {`image: 'eclipse-temurin:21.0.2', workingDir: /opt/x, command: [sh, -c, '(cd /data && mkdir -p logs); exec java -jar app.jar']`, "/data", ``, "pass"},
		"bash with options fills a server's folder":          {`image: 'tomcat:10.1.18', command: [bash, -euo, pipefail, -c, 'cp /x/*.war /usr/local/tomcat/webapps/ && catalina.sh run']`, "/usr/local/tomcat/webapps", `emptyDir: {}`, "pass"},
		"a claim hides the folder with the server":           {`image: 'tomcat:10.1.18'`, "/usr/local", ``, "deny"},
		"a claim hides the folder above a server's pages":    {`image: 'nginx:1.27.3'`, "/usr/share", ``, "deny"},
		"a claim at a folder of programs of an application":  {`image: 'shop:1.0.0'`, "/usr/local", ``, "pass"},
		"the newest after a version of the server's API":     {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/webapps", `csi: {driver: x, volumeAttributes: {downloadURL: 'https://x/api/v1/latest/app.war'}}`, "deny"},
		"a stock runtime told its program works in a claim":  {`image: 'eclipse-temurin:21.0.2', workingDir: /work, args: [java, -jar, /app.jar]`, "/work", ``, "pass"},
		"a stock runtime works in a claim":                   {`image: 'python:3.12.1', workingDir: /srv/x`, "/srv/x", ``, "deny"},
		"a script leaves the claim with pushd":               {`image: 'shop:1.0.0', workingDir: /work, command: [bash, -c, 'pushd /opt/app; ./run.sh']`, "/work", ``, "pass"},
		"a database":                                         {`image: 'mysql:8.0.36'`, "/var/lib/mysql", ``, "pass"},
		"a backup is written":                                {`image: 'postgres:16.1', command: [sh, -c, 'pg_dump x > /backup/x.sql']`, "/backup", ``, "pass"},
		"a time series store":                                {`image: 'prom/prometheus:v2.50.0', args: [--storage.tsdb.path=/prometheus]`, "/prometheus", ``, "pass"},
		"an object store":                                    {`image: 'minio/minio:RELEASE.2024-01-01T00-00-00Z', args: [server, /data]`, "/data", ``, "pass"},
		"a model server's models":                            {`image: 'vllm/vllm-openai:v0.4.0', command: [python3, -m, vllm.entrypoints.openai.api_server, --model, /models/x]`, "/models", ``, "pass"},
		"Python serves files of data":                        {`image: 'python:3.12.1', workingDir: /data, command: [python, -m, http.server]`, "/data", ``, "pass"},
		"a home that mixes jobs and plug-ins":                {`image: 'jenkins/jenkins:2.440.1'`, "/var/jenkins_home", ``, "pass"},
		"static files may be collected by the application":   {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html/static", ``, "warn"},
		"media below a server's folder":                      {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html/media", ``, "pass"},
		"the uploads of a CMS":                               {`image: 'wordpress:6.4.3'`, "/var/www/html/wp-content/uploads", ``, "pass"},
		"the folder of a CMS":                                {`image: 'nextcloud:28.0.1'`, "/var/www/html", ``, "warn"},
		"the content of a blog":                              {`image: 'ghost:5.79.0'`, "/var/lib/ghost/content", ``, "pass"},
		"data beside an application in the image":            {`image: 'spark:3.5.0', command: [spark-submit, --conf, a=b, 'local:///opt/spark/x.py', /mnt/data]`, "/mnt/data", ``, "pass"},
		"an application's data below its folder":             {`image: 'shop:1.0.0'`, "/app/data", ``, "pass"},
		"an application's logs below its folder":             {`image: 'shop:1.0.0'`, "/app/logs", ``, "pass"},
		"an application's whole folder":                      {`image: 'shop:1.0.0'`, "/app", ``, "warn"},
		"a server's logs":                                    {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/logs", ``, "pass"},
		"a server's settings":                                {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/conf/Catalina", ``, "pass"},
		"a registry's images":                                {`image: 'registry:2.8.3'`, "/var/lib/registry", ``, "pass"},
		"a search index":                                     {`image: 'elasticsearch:8.12.0'`, "/usr/share/elasticsearch/data", ``, "pass"},
		"an agent reads the node":                            {`image: 'prom/node-exporter:v1.7.0'`, "/host/root", `hostPath: {path: /}`, "pass"},
		"an agent reads the sources of the node's kernel":    {`image: 'agent:1.0.0'`, "/usr/src", `hostPath: {path: /usr/src}`, "pass"},
		"an agent runs a program of the node":                {`image: 'agent:1.0.0', command: [/opt/cni/bin/install]`, "/opt/cni/bin", `hostPath: {path: /opt/cni/bin}`, "pass"},
		"a program of the image, told where it is":           {`image: 'node:20.11.1', command: [npm, --prefix, /app, start], workingDir: /jobs`, "/jobs", ``, "pass"},
		"the same program, told nothing":                     {`image: 'node:20.11.1', command: [npm, start], workingDir: /jobs`, "/jobs", ``, "deny"},
		"a socket of the node":                               {`image: 'traefik:v3.0.0'`, "/var/run/docker.sock", `hostPath: {path: /var/run/docker.sock}`, "pass"},
		"a script makes what it runs":                        {`image: 'python:3.12.1', command: [sh, -c, 'python -m venv /venv && /venv/bin/python app.py']`, "/venv", `emptyDir: {}`, "pass"},
		"a cache is empty at start":                          {`image: 'nginx:1.27.3'`, "/var/cache/nginx", `emptyDir: {}`, "pass"},
		"the program is in an empty volume":                  {`image: 'shop:1.0.0', command: [/job/run]`, "/job", `emptyDir: {}`, "deny"},
		"a stock server's folder is empty":                   {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html", `emptyDir: {}`, "deny"},
		"an image may fill its own folder":                   {`image: 'bitnami/tomcat:10.1.2'`, "/opt/bitnami/tomcat/webapps", `emptyDir: {}`, "warn"},
		"an image that fills its own folder":                 {`image: 'bitnami/wordpress:6.4.3'`, "/opt/bitnami/wordpress", `emptyDir: {}`, "pass"},
		"a driver downloads a version":                       {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/webapps", `csi: {driver: x, volumeAttributes: {downloadURL: 'https://x/app-1.2.war'}}`, "pass"},
		"a driver downloads the newest":                      {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/webapps", `csi: {driver: x, volumeAttributes: {downloadURL: 'https://x/latest/app.war'}}`, "deny"},
		"a driver downloads from a branch":                   {`image: 'tomcat:10.1.18'`, "/usr/local/tomcat/webapps", `csi: {driver: x, volumeAttributes: {downloadURL: 'https://x/raw/main/app.war'}}`, "warn"},
		"a repository at a tag":                              {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html", `gitRepo: {repository: 'https://x/y.git', revision: v1.2}`, "pass"},
		"a repository at a branch":                           {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html", `gitRepo: {repository: 'https://x/y.git', revision: main}`, "warn"},
		"files of an image":                                  {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html", `image: {reference: 'pages:1.2.3'}`, "pass"},
		"pages of a ConfigMap":                               {`image: 'nginx:1.27.3'`, "/usr/share/nginx/html", `configMap: {name: pages}`, "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := tc.volume
			if source == "" {
				source = "persistentVolumeClaim: {claimName: disk-1}"
			}
			object, err := yaml.YAMLToJSON(fmt.Appendf(nil, `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {
				containers: [{name: c, %s, volumeMounts: [{name: v, mountPath: %s}]}], volumes: [{name: v, %s}]}}`, tc.container, tc.path, source))
			if err != nil {
				t.Fatal(err)
			}
			request := validate.Request{Operation: validate.Create, Kind: "Pod", Namespace: "default", Object: object}
			decision, err := reviewer.Review(t.Context(), request, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			got := "pass"
			for _, j := range decision.Judgements {
				judged := strings.HasPrefix(j.Code, "version.") && j.Mode != policy.ModeAudit
				if judged && (got == "pass" || j.Mode == policy.ModeDeny) {
					got = string(j.Mode)
				}
			}
			if got != tc.want {
				t.Errorf("got %s, want %s: %s", got, tc.want, texts(decision.Judgements))
			}
		})
	}
}
