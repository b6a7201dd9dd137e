{{/* The name of every object; short enough for the longest of what is added to it, in a certificate's common name. */}}
{{- define "plainspec.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "plainspec" .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-plainspec" (.Release.Name | replace "." "-" | trunc 30 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "plainspec.selectorLabels" -}}
app.kubernetes.io/name: plainspec
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The version is that of the image, as the rule label.version_mismatch wants it. */}}
{{- define "plainspec.labels" -}}
{{ include "plainspec.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "plainspec.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "plainspec.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: without serviceAccount.create, name an account that is there" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "plainspec.certificateSecret" -}}
{{- if .Values.certificates.certManager.enabled -}}
{{- include "plainspec.fullname" . }}-serving
{{- else -}}
{{- required "certificates.secretName: without cert-manager, name the Secret that holds tls.crt and tls.key" .Values.certificates.secretName -}}
{{- end -}}
{{- end -}}

{{/* Who signs the serving certificate. */}}
{{- define "plainspec.issuerRef" -}}
{{- $own := dict "name" (printf "%s-ca" (include "plainspec.fullname" .)) -}}
{{- toYaml (merge dict (.Values.certificates.certManager.issuerRef | default $own) (dict "group" "cert-manager.io" "kind" "Issuer")) -}}
{{- end -}}

{{/* The member of each webhook's clientConfig. With cert-manager, its cainjector owns it, and the chart must not write it. */}}
{{- define "plainspec.caBundle" -}}
{{- if not .Values.certificates.certManager.enabled -}}
caBundle: {{ required "certificates.caBundle: without cert-manager, give the PEM certificates of the authority that signed the server's certificate" .Values.certificates.caBundle | b64enc }}
{{- end -}}
{{- end -}}

{{/* The namespaces that are never asked about; Plainspec's own is always one. */}}
{{- define "plainspec.exemptNamespaces" -}}
{{- if not (has "kube-system" .Values.exemptNamespaces) -}}
{{- fail "exemptNamespaces: name the namespaces that the cluster needs to run, kube-system among them: those of the network (CNI), storage (CSI), DNS and cert-manager, too. Plainspec's own is always exempt" -}}
{{- end -}}
{{- toYaml (append .Values.exemptNamespaces .Release.Namespace | uniq) -}}
{{- end -}}

{{/* Completion.ConcernsAll and ConcernsPods of api/config: not empty if so. An empty object counts, null does not. */}}
{{- define "plainspec.completeAll" -}}
{{- $completion := .Values.configuration.completion | default dict -}}
{{- if not (and (kindIs "invalid" $completion.resources) (kindIs "invalid" $completion.labels)) }}true{{ end -}}
{{- end -}}
{{- define "plainspec.completePods" -}}
{{- $completion := .Values.configuration.completion | default dict -}}
{{- if not (kindIs "invalid" $completion.resources) }}true{{ end -}}
{{- end -}}

{{/* The configuration file. */}}
{{- define "plainspec.configuration" -}}
{{- $written := dict "apiVersion" "config.plainspec.dev/v1alpha1" "kind" "Configuration" "enforcement" .Values.enforcement -}}
{{- toYaml (merge $written .Values.configuration) -}}
{{- end -}}

{{/* Kubernetes puts users into groups of its own whether there is an emergency or not. Who is in system:masters can delete the webhooks anyway. */}}
{{- define "plainspec.breakGlassGroups" -}}
{{- range .Values.breakGlass.groups -}}
{{- if and (hasPrefix "system:" .) (ne . "system:masters") -}}
{{- fail (printf "breakGlass.groups: %s is a group that Kubernetes itself puts users in, always; name one that people get for an emergency" .) -}}
{{- end -}}
{{- end -}}
{{- toJson .Values.breakGlass.groups -}}
{{- end -}}

{{/* The keys of a ConfigMap have no slashes. */}}
{{- define "plainspec.policyKey" -}}
{{- . | replace "/" "__" -}}
{{- end -}}
