{{/*
Refuses a change of the cache's claim that the API server would refuse, before anything is applied: an upgrade that fails at
the claim leaves the operator half new. (dict "root" $ "name" "floe-cache" "volume" .Values.cache.persistence)
*/}}
{{- define "floe.checkClaim" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $there := lookup "v1" "PersistentVolumeClaim" $namespace .name -}}
{{- if $there -}}
{{- $class := dig "spec" "storageClassName" "" $there -}}
{{- $has := dig "spec" "resources" "requests" "storage" "0" $there -}}
{{- $ways := "use another claim (cache.persistence.existingClaim), or set the value back" -}}
{{- if and .volume.storageClassName (ne .volume.storageClassName $class) -}}
{{- fail (printf "cache.persistence.storageClassName: the claim %s/%s has class %s, and the class of a claim can't be changed; %s" $namespace .name $class $ways) -}}
{{- end -}}
{{- if ne (join "," .volume.accessModes) (join "," $there.spec.accessModes) -}}
{{- fail (printf "cache.persistence.accessModes: the claim %s/%s has %s, and the modes of a claim can't be changed; %s" $namespace .name (join "," $there.spec.accessModes) $ways) -}}
{{- end -}}
{{- $old := include "floe.bytes" $has | float64 -}}
{{- $new := include "floe.bytes" .volume.size | float64 -}}
{{- if lt $new $old -}}
{{- fail (printf "cache.persistence.size: the claim %s/%s has %s, and a claim can't shrink to %v; %s" $namespace .name $has .volume.size $ways) -}}
{{- end -}}
{{- if gt $new $old -}}
{{- $grows := and $class (dig "allowVolumeExpansion" false (lookup "storage.k8s.io/v1" "StorageClass" "" $class)) -}}
{{- if not $grows -}}
{{- fail (printf "cache.persistence.size: the claim %s/%s has %s, and its class %q lets no volume grow to %v; %s" $namespace .name $has $class .volume.size $ways) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes in bytes. */}}
{{- define "floe.bytes" -}}
{{- $text := toString . -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit | default 1) -}}
{{- end -}}
