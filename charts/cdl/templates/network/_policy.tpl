{{/* The head of a NetworkPolicy: both directions are closed but for what follows it. */}}
{{- define "cdl.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: cdl-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "cdl.labels" . | nindent 4 }}
spec:
  policyTypes: [Ingress, Egress]
  podSelector:
    matchLabels: {{- include "cdl.selector" . | nindent 6 }}
{{- end }}

{{/* Pods of this release, by component. */}}
{{- define "cdl.peers" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/part-of: cdl
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
    - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{- define "cdl.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}

{{- define "cdl.ports" -}}
{{- $ports := list -}}
{{- range . }}{{ $ports = append $ports (dict "port" (int .) "protocol" "TCP") }}{{ end -}}
{{ toJson $ports }}
{{- end }}
