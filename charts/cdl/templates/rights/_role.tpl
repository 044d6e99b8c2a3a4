{{/* A Role or, without a namespace, a ClusterRole; its rules come from files/rbac.yaml, each with its reason. */}}
{{- define "cdl.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .namespace | empty | ternary "ClusterRole" "Role" }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "cdl.labels" (dict "root" .root "component" "rights") | nindent 4 }}
    {{- with .label }}
    {{ . }}: "true"
    {{- end }}
rules:
  {{- range .rules }}
  # {{ .reason }}
  - {{ omit . "reason" | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}

{{/* The same, given to the ServiceAccount of a part of the platform. */}}
{{- define "cdl.boundRole" }}
{{- include "cdl.role" . }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .namespace | empty | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "cdl.labels" (dict "root" .root "component" "rights") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .namespace | empty | ternary "ClusterRole" "Role" }}
  name: {{ .name }}
subjects:
  - {kind: ServiceAccount, name: cdl-{{ .account }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
