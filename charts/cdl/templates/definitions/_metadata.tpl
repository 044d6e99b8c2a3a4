{{/* What is said of a definition besides its name: whose it is, and that what people made with it outlives the chart. */}}

{{- define "cdl.keptMetadata" }}
  annotations:
    helm.sh/resource-policy: keep
  labels:
    {{- include "cdl.labels" (dict "root" . "component" "definitions") | nindent 4 }}
{{- end }}
