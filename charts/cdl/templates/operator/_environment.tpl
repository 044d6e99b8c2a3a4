{{/* The operator's settings: docs/reference/settings.md says what each means. */}}
{{- define "cdl.operatorEnvironment" -}}
- {name: CDL_HOME, value: /var/lib/cdl}
- {name: CDL_PACHD, value: {{ include "cdl.pachd" . | quote }}}
{{- $pachyderm := .Values.engines.pachyderm }}
{{- if and (eq $pachyderm.mode "external") $pachyderm.credentials.secret }}
- name: CDL_PACHD_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ $pachyderm.credentials.secret }}, key: {{ $pachyderm.credentials.key }}}
{{- end }}
- {name: CDL_DETERMINED, value: {{ include "cdl.determined" . | quote }}}
- {name: CDL_SELDON, value: {{ include "cdl.seldon" . | quote }}}
{{- $determined := .Values.engines.determined }}
{{- if eq $determined.mode "external" }}
- {name: CDL_DETERMINED_USER, value: {{ $determined.user | quote }}}
- name: CDL_DETERMINED_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $determined.credentials.secret }}, key: {{ $determined.credentials.key }}}
{{- end }}
{{- include "cdl.databaseEnvironment" . }}
{{- include "cdl.forgeEnvironment" . }}
{{- if .Values.forge.url }}
{{- $appliers := .Values.forge.appliers }}
{{- range .Values.gitops.repositories }}
{{- if .forgeProject }}
{{- $appliers = append $appliers (printf "system:serviceaccount:%s:cdl-gitops-%s" $.Release.Namespace .name) }}
{{- end }}
{{- end }}
- {name: CDL_FORGE_APPLIERS, value: {{ join "," $appliers | quote }}}
{{- end }}
{{- with .Values.labelStudio }}
{{- if .url }}
- {name: CDL_LABEL_STUDIO, value: {{ .url | quote }}}
- name: CDL_LABEL_STUDIO_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .tokenSecret.name }}, key: {{ .tokenSecret.key }}}
{{- end }}
{{- end }}
{{- if .Values.signing.secret }}
- {name: CDL_SIGNING_KEY, value: {{ printf "/etc/cdl/signing/%s" .Values.signing.key | quote }}}
{{- end }}
- {name: CDL_STEPS_IMAGE, value: {{ include "cdl.image" (dict "root" . "name" "steps") | quote }}}
- {name: CDL_SERVING_IMAGE, value: {{ include "cdl.image" (dict "root" . "name" "serving") | quote }}}
- {name: CDL_NAMESPACES, value: {{ join "," (ternary .Values.namespaces (list) (eq .Values.scope "Namespaced")) | quote }}}
- {name: CDL_LEASE_NAMESPACE, value: {{ .Release.Namespace | quote }}}
- {name: CDL_METRICS_ADDRESS, value: 0.0.0.0}
- {name: CDL_METRICS_PORT, value: {{ .Values.metrics.port | quote }}}
- {name: CDL_LOG_FORMAT, value: {{ .Values.operator.logFormat | quote }}}
- {name: HOME, value: /tmp}
{{- with .Values.operator.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the history is kept; nothing where none is. */}}
{{- define "cdl.databaseEnvironment" -}}
{{- with .Values.database }}
{{- if .secret }}
- name: CDL_DATABASE
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Where merge requests are reviewed; nothing where they are not. */}}
{{- define "cdl.forgeEnvironment" -}}
{{- with .Values.forge }}
{{- if .url }}
{{- $roles := list }}
{{- range $role, $there := .roles }}{{ $roles = append $roles (printf "%s=%s" $role $there) }}{{ end }}
- {name: CDL_FORGE, value: {{ .url | quote }}}
- {name: CDL_FORGE_PROJECTS, value: {{ join "," .projects | quote }}}
- {name: CDL_FORGE_ROLES, value: {{ join "," $roles | quote }}}
- name: CDL_FORGE_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .tokenSecret.name }}, key: {{ .tokenSecret.key }}}
{{- end }}
{{- end }}
{{- end }}
