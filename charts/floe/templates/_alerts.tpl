{{/* The groups of alerts/floe.yaml with what the values change in them, as YAML. */}}
{{- define "floe.alertGroups" -}}
{{- $changes := .Values.metrics.prometheusRule.alerts -}}
{{- $pages := .Values.metrics.prometheusRule.runbookUrl | trimSuffix "/" -}}
{{- $names := list -}}
{{- $groups := list -}}
{{- range (.Files.Get "alerts/floe.yaml" | fromYaml).groups -}}
{{- $rules := list -}}
{{- range .rules -}}
{{- $names = append $names .alert -}}
{{- $change := get $changes .alert | default dict -}}
{{- if ne (get $change "enabled" | toString) "false" -}}
{{- if and (hasKey $change "threshold") (not (hasKey . "threshold")) -}}
{{- fail (printf "metrics.prometheusRule.alerts.%s: this alert has no threshold" .alert) -}}
{{- end -}}
{{- if and (hasKey $change "exceptNamespaces") (not (contains "EXCEPT" .expr)) -}}
{{- fail (printf "metrics.prometheusRule.alerts.%s: this alert is not about one namespace" .alert) -}}
{{- end -}}
{{- $threshold := ternary (get $change "threshold") (get . "threshold") (hasKey $change "threshold") -}}
{{- $except := get $change "exceptNamespaces" | default list | join "|" -}}
{{- $expr := .expr | replace "THRESHOLD" ($threshold | toString) | replace "EXCEPT" $except -}}
{{- $rule := merge (dict "expr" $expr) (omit . "threshold") -}}
{{- with get $change "for" -}}
{{- $_ := set $rule "for" . -}}
{{- end -}}
{{- with get $change "severity" -}}
{{- $_ := set $rule "labels" (merge (dict "severity" .) $rule.labels) -}}
{{- end -}}
{{- if $pages -}}
{{- $page := dict "runbook_url" (printf "%s/%s.md" $pages (lower .alert)) -}}
{{- $_ := set $rule "annotations" (merge $page $rule.annotations) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (dict "name" .name "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $changes -}}
{{- if not (has $name $names) -}}
{{- fail (printf "metrics.prometheusRule.alerts.%s: there is no such alert; there are %s" $name (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}
