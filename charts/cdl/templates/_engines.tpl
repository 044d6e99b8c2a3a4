{{/* Where engines answer, and which kinds of resources that leaves to the operator. */}}

{{- define "cdl.pachd" -}}
{{- $engine := .Values.engines.pachyderm -}}
{{- if eq $engine.mode "embedded" -}}
grpc://cdl-pachd.{{ .Release.Namespace }}.svc:{{ $engine.embedded.port }}
{{- else if eq $engine.mode "external" -}}
{{ $engine.address }}
{{- end }}
{{- end }}

{{- define "cdl.determined" -}}
{{- $engine := .Values.engines.determined -}}
{{- if eq $engine.mode "embedded" -}}
http://cdl-determined.{{ .Release.Namespace }}.svc:{{ $engine.embedded.port }}
{{- else if eq $engine.mode "external" -}}
{{ $engine.address }}
{{- end }}
{{- end }}

{{- define "cdl.seldon" -}}
{{- $engine := .Values.engines.seldon -}}
{{- if eq $engine.mode "embedded" -}}
http://cdl-seldon.{{ .Release.Namespace }}.svc:{{ $engine.embedded.port }}
{{- else if eq $engine.mode "external" -}}
{{ $engine.address }}
{{- end }}
{{- end }}

{{- define "cdl.kinds" -}}
{{- $engines := .Values.engines -}}
{{- $kinds := list -}}
{{- if ne $engines.pachyderm.mode "off" }}{{ $kinds = append $kinds "DataPipeline" }}{{ end -}}
{{- if ne $engines.determined.mode "off" }}{{ $kinds = append $kinds "Experiment" }}{{ end -}}
{{- if ne $engines.seldon.mode "off" }}{{ $kinds = append $kinds "ModelDeployment" }}{{ end -}}
{{- if not $kinds }}{{ fail "engines: every engine is off, so there is nothing to operate" }}{{ end -}}
{{ join "," $kinds }}
{{- end }}
