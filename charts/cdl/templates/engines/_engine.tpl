{{/* An embedded engine: one pod on the shared volume, and the Service it answers at. */}}
{{- define "cdl.engine" }}
{{- $names := dict "root" .root "component" .component "name" "embedded" }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: cdl-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "cdl.labels" $names | nindent 4 }}
spec:
  replicas: 1
  serviceName: cdl-{{ .component }}
  selector:
    matchLabels: {{- include "cdl.selector" $names | nindent 6 }}
  template:
    metadata:
      labels: {{- include "cdl.labels" $names | nindent 8 }}
    spec:
      # What people wrote runs in here: it gets nobody's token.
      {{- include "cdl.pod" (dict "root" .root "pod" .values.pod "token" false) | nindent 6 }}
      terminationGracePeriodSeconds: 60
      containers:
        - name: {{ .component }}
          {{- include "cdl.container" $names | nindent 10 }}
          command: [python, -m, cdl.embedded.{{ .component }}]
          args: {{- toYaml .args | nindent 12 }}
          env:
            - {name: HOME, value: /tmp}
          ports:
            {{- range $name, $port := .ports }}
            - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
            {{- end }}
          resources: {{- toYaml .values.resources | nindent 12 }}
          startupProbe:
            tcpSocket: {port: api}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            tcpSocket: {port: api}
            periodSeconds: 20
          volumeMounts:
            - {name: home, mountPath: /var/lib/cdl}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: home
          persistentVolumeClaim: {claimName: {{ include "cdl.claim" .root }}}
        - name: tmp
          emptyDir: {}
---
apiVersion: v1
kind: Service
metadata:
  name: cdl-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "cdl.labels" $names | nindent 4 }}
spec:
  selector: {{- include "cdl.selector" $names | nindent 4 }}
  ports:
    - {name: api, port: {{ .ports.api }}, targetPort: api, protocol: TCP}
{{- end }}
