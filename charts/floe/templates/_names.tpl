{{/* Names, labels and addresses that several templates share. */}}

{{- define "floe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels by which Services and Deployments find their pods: (dict "root" $ "component" "operator"). */}}
{{- define "floe.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/*
Labels of every object: the same argument, with "more" for those of one object. A label that the values repeat is theirs,
but for those that Services and Helm find objects by.
*/}}
{{- define "floe.labels" -}}
{{- $fixed := merge (dict "app.kubernetes.io/managed-by" .root.Release.Service) (include "floe.selector" . | fromYaml) -}}
{{- $usual := dict "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/part-of" "floe" "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- merge $fixed (default dict .more) .root.Values.commonLabels $usual | toYaml -}}
{{- end -}}

{{- define "floe.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "floe.operatorServiceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-operator" (include "floe.fullname" .)) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the service account of the operator, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "floe.hubService" -}}
{{ include "floe.fullname" . }}-hub
{{- end -}}

{{- define "floe.buildsService" -}}
{{ include "floe.fullname" . }}-builds
{{- end -}}

{{- define "floe.reportUrl" -}}
{{- default (printf "https://%s.%s.svc:8444/v1/builds" (include "floe.buildsService" .) .Release.Namespace) .Values.operator.reportUrl -}}
{{- end -}}

{{- define "floe.cacheService" -}}
{{ include "floe.fullname" . }}-cache
{{- end -}}

{{/* Where build Jobs push to. */}}
{{- define "floe.cacheUrl" -}}
{{- if .Values.cache.enabled -}}
{{- printf "http://%s.%s.svc:%v/{namespace}?compression=%s" (include "floe.cacheService" .) .Release.Namespace .Values.cache.service.port .Values.cache.compression -}}
{{- else -}}
{{- required "cache.external.url: name the cache that build Jobs push to, or set cache.enabled" .Values.cache.external.url -}}
{{- end -}}
{{- end -}}

{{/* Where machines fetch from. */}}
{{- define "floe.cacheSubstituter" -}}
{{- if .Values.cache.enabled -}}
{{- $inside := printf "http://%s.%s.svc:%v" (include "floe.cacheService" .) .Release.Namespace .Values.cache.service.port -}}
{{- printf "%s/{namespace}" (default $inside .Values.cache.publicUrl | trimSuffix "/") -}}
{{- else -}}
{{- default (regexReplaceAll "\\?.*$" .Values.cache.external.url "") .Values.cache.external.substituter -}}
{{- end -}}
{{- end -}}

{{- define "floe.tlsSecret" -}}
{{- default (printf "%s-hub-tls" (include "floe.fullname" .)) .Values.tls.existingSecret -}}
{{- end -}}

{{- define "floe.caConfigMap" -}}
{{ include "floe.fullname" . }}-hub-ca
{{- end -}}

{{/* DNS names in the hub's certificate, as a JSON list in a fixed order. */}}
{{- define "floe.tlsNames" -}}
{{- $service := include "floe.hubService" . -}}
{{- $inside := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (printf "%s.%s.svc.cluster.local" $service .Release.Namespace) (printf "%s.%s.svc" (include "floe.buildsService" .) .Release.Namespace) "localhost" -}}
{{- concat $inside .Values.tls.names | uniq | toJson -}}
{{- end -}}

{{/* IP addresses in it, likewise. */}}
{{- define "floe.tlsAddresses" -}}
{{- concat (list "127.0.0.1") (compact (list .Values.hub.service.clusterIP .Values.hub.service.loadBalancerIP)) .Values.tls.addresses | uniq | toJson -}}
{{- end -}}
