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

{{/* A value as a literal of CEL: (dict "value" VALUE "type" "Object.spec.volumes"). Objects have the type of their place, but for maps of free keys. */}}
{{- define "hookgate.cel" -}}
{{- $type := .type -}}
{{- if kindIs "map" .value -}}
{{- $isFree := has (last (splitList "." $type)) (list "requests" "limits") -}}
{{- $fields := list -}}
{{- range $key, $value := .value -}}
{{- $fields = append $fields (printf "%s: %s" (ternary (toRawJson $key) $key $isFree) (include "hookgate.cel" (dict "value" $value "type" (printf "%s.%s" $type $key)))) -}}
{{- end -}}
{{ ternary "" $type $isFree }}{ {{- join ", " $fields -}} }
{{- else if kindIs "slice" .value -}}
{{- $items := list -}}
{{- range .value }}{{ $items = append $items (include "hookgate.cel" (dict "value" . "type" $type)) }}{{ end -}}
[{{ join ", " $items }}]
{{- else -}}
{{ toRawJson .value }}
{{- end -}}
{{- end -}}

{{/* What puts the sidecar into a pod when it is made. */}}
{{- define "hookgate.sidecarPolicy" -}}
{{- $name := printf "%s-%s-sidecar" (include "hookgate.fullname" .) .Release.Namespace -}}
{{- $pod := include "hookgate.sidecarPod" . | fromYaml -}}
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: {{ $name }}
spec:
  # A pod without what judges it is not made.
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    matchPolicy: Equivalent
    namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}
    objectSelector:
      matchLabels: {hookgate/sidecar: enabled}
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  mutations:
    # One patch: between two of them an API server forgets lists that are empty.
    - patchType: JSONPatch
      jsonPatch:
        expression: |-
          {{- range $place := list "/spec/initContainers" "/spec/volumes" "/spec/containers/0/volumeMounts" }}
          (has(object{{ $place | replace "/0/" "[0]." | replace "/" "." }}) ? [] : [JSONPatch{op: "add", path: {{ $place | quote }}, value: []}]) +
          {{- end }}
          [
            {{- range $i, $container := $pod.initContainers }}
            JSONPatch{op: "add", path: "/spec/initContainers/{{ $i }}", value: {{ include "hookgate.cel" (dict "value" $container "type" "Object.spec.initContainers") }}},
            {{- end }}
            {{- range $pod.volumes }}
            JSONPatch{op: "add", path: "/spec/volumes/-", value: {{ include "hookgate.cel" (dict "value" . "type" "Object.spec.volumes") }}},
            {{- end }}
            JSONPatch{op: "add", path: "/spec/containers/0/volumeMounts/-", value: Object.spec.containers.volumeMounts{name: "hookgate-managed-settings", mountPath: "/etc/claude-code", readOnly: true}}
          ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
spec:
  policyName: {{ $name }}
{{- end -}}
