{{- define "runnerd.name" -}}
{{- if contains "runnerd" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-runnerd" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "runnerd.account" -}}
{{ .Values.serviceAccount.name | default (include "runnerd.name" .) }}
{{- end }}

{{- define "runnerd.selector" -}}
app.kubernetes.io/name: {{ include "runnerd.name" . }}
app.kubernetes.io/component: daemon
{{- end }}

{{- define "runnerd.labels" -}}
app.kubernetes.io/part-of: runnerd
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The Secret with url and runner-token: the chart's own, or the one that is named. */}}
{{- define "runnerd.secret" -}}
{{ if .Values.runnerToken }}{{ include "runnerd.name" . }}{{ else }}{{ .Values.runners.secret }}{{ end }}
{{- end }}

{{- define "runnerd.config" -}}
{{- $v := .Values -}}
concurrent = {{ $v.concurrent }}                        # jobs at the same time, of each replica
{{- with $v.concurrentTotal }}
concurrent_total = {{ . }}
{{- end }}
{{- if $v.metrics.enabled }}
listen_address = ":{{ $v.metrics.port }}"               # metrics and health
{{- end }}
{{- with $v.logLevel }}
log_level = {{ . | quote }}
{{- end }}
{{- with $v.logFormat }}
log_format = {{ . | quote }}
{{- end }}
{{- with $v.checkInterval }}
check_interval = {{ . }}
{{- end }}
{{- with $v.shutdown_timeout }}
shutdown_timeout = {{ . }}
{{- end }}

{{ $entries := tpl $v.runners.config . -}}
{{- if regexMatch "(?m)^\\s*(url|token|token_file)\\s*=" $entries -}}
{{ $entries }}
{{- else -}}
{{ regexReplaceAll "(?m)^\\s*\\[\\[runners\\]\\].*$" $entries "[[runners]]\nurl = \"$${CI_SERVER_URL}\"               # both from the Secret\ntoken_file = \"/run/secrets/runnerd/runner-token\"" }}
{{- end -}}
{{- end }}
