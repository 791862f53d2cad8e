{{- define "hookgate.sidecarPod" -}}
{{- $v := .Values -}}
{{- $config := include "hookgate.config" (dict "root" . "sidecar" true) | fromYaml -}}
initContainers:
  {{- if include "hookgate.hasPdp" . }}
  - {{- include "hookgate.prepareContainer" (dict "root" .) | nindent 4 }}
  - {{- include "hookgate.pdpContainer" (dict "root" . "resources" $v.sidecar.pdpResources) | nindent 4 }}
  {{- if include "hookgate.reloads" . }}
  - {{- include "hookgate.reloadContainer" (dict "root" .) | nindent 4 }}
  {{- end }}
  {{- end }}
  - {{- include "hookgate.serveContainer" (dict "root" . "sidecar" true "config" $config "resources" $v.sidecar.resources) | nindent 4 }}
volumes:
  {{- include "hookgate.volumes" (dict "root" . "sidecar" true) | nindent 2 }}
{{- end -}}

{{- define "hookgate.sidecarUrl" -}}
{{- $config := include "hookgate.config" (dict "root" . "sidecar" true) | fromYaml -}}
http://127.0.0.1:{{ $config.server.port }}{{ default "/ext/claude" $config.server.path }}
{{- end -}}
