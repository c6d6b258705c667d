{{/* Name of all objects in the namespace. */}}
{{- define "dagger-inject.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a Deployment selects its pods by. It must never change: a Deployment's selector cannot. */}}
{{- define "dagger-inject.selectorLabels" -}}
app.kubernetes.io/name: dagger-inject
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end -}}

{{/* Labels of an object that is no pod of the Deployment. */}}
{{- define "dagger-inject.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" "dagger-inject"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | trunc 63)
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.commonLabels) $own) -}}
{{- end -}}

{{/*
Metadata of an object. A list: the root, the name, and as far as they apply annotations and labels of the object's own.
An object of another namespace gives that as its fifth item, an object of the cluster the empty string.
*/}}
{{- define "dagger-inject.metadata" -}}
{{- $root := index . 0 -}}
{{- $labels := include "dagger-inject.labels" $root | fromYaml -}}
{{- $annotations := deepCopy $root.Values.commonAnnotations -}}
{{- if gt (len .) 2 }}{{ $annotations = mergeOverwrite $annotations (index . 2) }}{{ end -}}
{{- if gt (len .) 3 }}{{ $labels = merge $labels (index . 3) }}{{ end -}}
metadata:
  name: {{ index . 1 }}
  {{- if lt (len .) 5 }}
  namespace: {{ $root.Release.Namespace }}
  {{- else if index . 4 }}
  namespace: {{ index . 4 }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "dagger-inject.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "dagger-inject.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "dagger-inject.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "dagger-inject.tlsSecretName" -}}
{{- .Values.certificates.secretName | default (printf "%s-tls" (include "dagger-inject.fullname" .)) -}}
{{- end -}}

{{/* Namespaces that engines are read in, as a JSON list: those of the values, else those that the policies name. */}}
{{- define "dagger-inject.engineNamespaces" -}}
{{- $namespaces := .Values.engineNamespaces -}}
{{- if not $namespaces -}}
{{- $default := dig "engine" "discover" "namespace" "dagger" .Values.policy -}}
{{- $namespaces = list $default -}}
{{- range .Values.profiles -}}
{{- $namespaces = append $namespaces (dig "engine" "discover" "namespace" $default .) -}}
{{- end -}}
{{- end -}}
{{- $namespaces | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* What an engine is read off. */}}
{{- define "dagger-inject.engineRules" -}}
- apiGroups: [apps]
  resources: [daemonsets, deployments, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
{{- end -}}

{{/* Which engines are ready, for jobs that are placed by cache. Empty where no policy in the values places them so. */}}
{{- define "dagger-inject.enginePodRules" -}}
{{- $on := dig "scheduling" "cacheAffinity" "enabled" false .Values.policy -}}
{{- range .Values.profiles -}}
{{- $on = or $on (dig "scheduling" "cacheAffinity" "enabled" false .) -}}
{{- end -}}
{{- if $on -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- end -}}
{{- end -}}

{{/* Namespaces that are never sent to the webhook. */}}
{{- define "dagger-inject.notExcluded" -}}
key: kubernetes.io/metadata.name
operator: NotIn
values:
- kube-system
- kube-public
- kube-node-lease
- {{ .Release.Namespace }}
{{- range .Values.webhook.excludedNamespaces }}
- {{ . }}
{{- end }}
{{- end -}}

{{/* How the API server reaches a path of the webhook. A list: the root, the path. */}}
{{- define "dagger-inject.clientConfig" -}}
{{- $root := index . 0 -}}
service:
  name: {{ include "dagger-inject.fullname" $root }}
  namespace: {{ $root.Release.Namespace }}
  path: {{ index . 1 }}
  port: {{ $root.Values.service.port }}
{{- if eq $root.Values.certificates.mode "existingSecret" }}
caBundle: {{ required "certificates.caBundle is empty: certificates.mode existingSecret needs the CA that signed the Secret's certificate, in PEM" $root.Values.certificates.caBundle | b64enc }}
{{- end }}
{{- end -}}

{{/* Annotations of a webhook configuration: cainjector fills in the CA, which is therefore not rendered. */}}
{{- define "dagger-inject.webhookAnnotations" -}}
{{- $annotations := deepCopy .Values.webhook.annotations -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
{{- /* The CA's own Certificate, if the chart creates it: the API server then trusts a new CA before anything is signed with it. The
serving certificate's Secret would have the new CA only when the replicas begin to serve what it signed. */ -}}
{{- $ca := ternary "" "-ca" (ne .Values.certificates.issuer.name "") -}}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/%s%s" .Release.Namespace (include "dagger-inject.fullname" .) $ca) -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end -}}
