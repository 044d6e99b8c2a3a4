{{/* Names, labels and images. Names are fixed: there is one platform in a namespace. */}}

{{- define "cdl.selector" -}}
app.kubernetes.io/part-of: cdl
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cdl.labels" -}}
{{ include "cdl.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "cdl.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ index $image.names .name }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The claim of the volume that operator and embedded engines share. */}}
{{- define "cdl.claim" -}}
{{ .Values.home.existingClaim | default "cdl-home" }}
{{- end }}

{{/* A suffix for what is cluster-wide although the installation is not. */}}
{{- define "cdl.ownSuffix" -}}
{{- if eq .Values.scope "Namespaced" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}
