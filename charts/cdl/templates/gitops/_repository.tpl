{{/* One followed repository: its name in the cluster, what is wrong with it, what it is told, which ports it reaches. */}}

{{- define "cdl.gitopsName" -}}
gitops-{{ .name }}
{{- end }}

{{/* What a schema cannot say, because it is about two values. */}}
{{- define "cdl.gitopsChecked" -}}
{{- $one := .one }}
{{- $what := printf "gitops.repositories: %s" $one.name }}
{{- $limited := eq .root.Values.scope "Namespaced" }}
{{- if and $limited (not (has $one.namespace .root.Values.namespaces)) }}
{{- fail (printf "%s: namespace %s is none of those served (namespaces)" $what $one.namespace) }}
{{- end }}
{{- if and $limited $one.mergeRequests }}
{{- fail (printf "%s: mergeRequests makes namespaces, which needs scope Cluster" $what) }}
{{- end }}
{{- if and $one.mergeRequests (not $one.forgeProject) }}
{{- fail (printf "%s: mergeRequests needs forgeProject, where they are" $what) }}
{{- end }}
{{- if and $one.forgeProject (not (has $one.forgeProject .root.Values.forge.projects)) }}
{{- fail (printf "%s: forgeProject %s is none of forge.projects" $what $one.forgeProject) }}
{{- end }}
{{- end }}

{{- define "cdl.gitopsArguments" -}}
- gitops
- --repo={{ .repo }}
- --branch={{ .branch | default "main" }}
- --path={{ .path | default "." }}
- --name={{ .name }}
- --namespace={{ .namespace }}
- --interval={{ .interval | default "30s" }}
- --drift={{ .drift | default "correct" }}
- {{ hasKey . "prune" | ternary .prune true | ternary "--prune" "--no-prune" }}
{{- if .gitToken }}
- --git-token-file=/var/run/cdl/git/token
{{- end }}
{{- if .webhookToken }}
- --webhook=0.0.0.0:8090
- --webhook-token-file=/var/run/cdl/webhook/token
{{- end }}
{{- if .forgeProject }}
- --forge-project={{ .forgeProject }}
{{- end }}
{{- if .mergeRequests }}
- --merge-requests
- --previews={{ .previews | default 10 }}
{{- end }}
{{- end }}

{{- define "cdl.gitopsEnvironment" -}}
- {name: CDL_HOME, value: /var/lib/cdl}
- {name: CDL_IN_CLUSTER, value: "true"}
- {name: CDL_METRICS_ADDRESS, value: 0.0.0.0}
- {name: CDL_METRICS_PORT, value: {{ .root.Values.metrics.port | quote }}}
- {name: HOME, value: /tmp}
{{- if .one.forgeProject }}
{{- include "cdl.forgeEnvironment" .root }}
{{- end }}
{{- end }}

{{/* The port of an address such as https://host:port/path. */}}
{{- define "cdl.portOf" -}}
{{- regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (hasPrefix "https" . | ternary 443 80) }}
{{- end }}
