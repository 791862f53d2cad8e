{{- define "hookgate.collectorName" -}}{{ include "hookgate.fullname" . }}-collector{{- end -}}
{{- define "hookgate.consoleName" -}}{{ include "hookgate.fullname" . }}-console{{- end -}}
{{- define "hookgate.collectorSelector" -}}
{{- include "hookgate.selectorOf" (dict "root" . "component" "collector") -}}
{{- end -}}
{{- define "hookgate.consoleSelector" -}}
{{- include "hookgate.selectorOf" (dict "root" . "component" "console") -}}
{{- end -}}
{{- define "hookgate.collectorTls" -}}
{{- if .Values.collector.tls.existingSecret -}}{{ .Values.collector.tls.existingSecret }}
{{- else if .Values.collector.tls.certManager.enabled -}}{{ include "hookgate.collectorName" . }}-tls{{- end -}}
{{- end -}}
{{- define "hookgate.collectorUrl" -}}
{{- $host := printf "%s.%s.svc" (include "hookgate.collectorName" .) .Release.Namespace -}}
{{- with .Values.collector.hosts }}{{ $host = first . }}{{ end -}}
{{- if contains ":" $host }}{{ $host = printf "[%s]" $host }}{{ end -}}
https://{{ $host }}:{{ .Values.collector.service.port }}
{{- end -}}

{{/* The collector's configuration. */}}
{{- define "hookgate.collectorConfig" -}}
{{- $v := .Values.collector -}}
{{- $collect := dict "host" "0.0.0.0" "port" 3596 "plaintext" $v.plaintext "certificates" $v.certificates -}}
{{- if include "hookgate.collectorTls" . -}}
{{- $tls := dict "certificate" "/etc/hookgate/tls/tls.crt" "key" "/etc/hookgate/tls/tls.key" -}}
{{- if $v.tls.clientCa.existingSecret -}}
{{- $_ := set $tls "client_ca" (printf "/etc/hookgate/client-ca/%s" $v.tls.clientCa.key) -}}
{{- with $v.tls.clientCa.crlKey }}{{ $_ := set $tls "client_crl" (printf "/etc/hookgate/client-ca/%s" .) }}{{ end -}}
{{- $_ := set $tls "client_required" $v.tls.clientRequired -}}
{{- end -}}
{{- $_ := set $collect "tls" $tls -}}
{{- end -}}
{{- if $v.expected.existingConfigMap }}{{ $_ := set $collect "expected" (printf "/etc/hookgate/expected/%s" $v.expected.key) }}{{ end -}}
{{- $store := dict "type" "postgres" "url" "${HOOKGATE_STORE}" "schema" $v.store.schema "retention_days" $v.store.retentionDays -}}
{{- $c := dict "collect" $collect "admin" (dict "host" "0.0.0.0" "port" 9464) "log" (dict "format" "json") -}}
{{- $_ := set $c "audit" (dict "directory" "/tmp/hookgate" "shippers" (prepend $v.forward $store)) -}}
{{- toYaml (mustMergeOverwrite $c (deepCopy $v.config)) -}}
{{- end -}}

{{/* The console's: a shipping process that has no journal, and so ships nothing. */}}
{{- define "hookgate.consoleConfig" -}}
{{- $v := .Values.collector.console -}}
{{- $name := include "hookgate.consoleName" . -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- with dig "console" "public_url" "" $v.config }}{{ $hosts = append $hosts (urlParse .).hostname }}{{ end -}}
{{- $console := dict "enabled" true "host" "0.0.0.0" "port" 3595 "store" "${HOOKGATE_STORE}" "allowed_hosts" $hosts -}}
{{- with .Values.collector.expected }}{{ if .existingConfigMap }}{{ $_ := set $console "expected" (printf "/etc/hookgate/expected/%s" .key) }}{{ end }}{{ end -}}
{{- if $v.tlsSecret }}{{ $_ := set $console "tls" (dict "certificate" "/etc/hookgate/tls/tls.crt" "key" "/etc/hookgate/tls/tls.key") }}{{ end -}}
{{- $audit := dict "directory" "/tmp/hookgate" "shippers" (list (dict "type" "stdout")) -}}
{{- $c := dict "console" $console "audit" $audit "admin" (dict "enabled" false) "log" (dict "format" "json") "pdp" (dict "address" "unix:/tmp/none.sock") -}}
{{- toYaml (mustMergeOverwrite $c (deepCopy $v.config)) -}}
{{- end -}}

{{- define "hookgate.collectorRefusals" -}}
{{- $v := .Values.collector -}}
{{- $config := include "hookgate.collectorConfig" . | fromYaml -}}
{{- $tls := include "hookgate.collectorTls" . -}}
{{- if not $v.store.existingSecret -}}
{{- fail "collector.enabled needs collector.store.existingSecret: a Secret with the URL of the PostgreSQL that it fills" -}}
{{- end -}}
{{- if and (not $tls) (not $v.plaintext) -}}
{{- fail "collector.enabled: tokens would go over the network in the clear: set collector.tls.existingSecret or collector.tls.certManager.enabled, or collector.plaintext: true where something before it speaks TLS" -}}
{{- end -}}
{{- if and $v.tls.existingSecret $v.tls.certManager.enabled -}}
{{- fail "collector.tls.existingSecret and collector.tls.certManager.enabled: one certificate, please: take one of them out" -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled (not $v.tls.certManager.issuerRef.name) -}}
{{- fail "collector.tls.certManager.enabled needs collector.tls.certManager.issuerRef.name" -}}
{{- end -}}
{{- if and $v.tls.clientCa.existingSecret (not $tls) -}}
{{- fail "collector.tls.clientCa needs a certificate of the collector: set collector.tls.existingSecret or collector.tls.certManager.enabled" -}}
{{- end -}}
{{- if and (or $v.certificates $v.tls.clientRequired) (not $v.tls.clientCa.existingSecret) -}}
{{- fail "collector.certificates and collector.tls.clientRequired need collector.tls.clientCa.existingSecret: the authorities of machines' certificates" -}}
{{- end -}}
{{- $stores := 0 -}}
{{- range $config.audit.shippers -}}
{{- if eq (.type | default "") "postgres" }}{{ $stores = add1 $stores }}{{ end -}}
{{- if has .type (list "sqlite" "file" "collector") -}}
{{- fail (printf "collector.forward: %s: a replica keeps nothing, and sends to no collector: forward by otlp, kafka or http" .type) -}}
{{- end -}}
{{- if not (has .type (list "postgres" "stdout" "otlp" "kafka" "http")) -}}
{{- fail (printf "collector.forward: %s is no type of shipper: forward by otlp, kafka or http" (.type | default "one without a type" | quote)) -}}
{{- end -}}
{{- end -}}
{{- if ne (int $stores) 1 -}}
{{- fail "collector.forward: postgres: a collector fills one store, that of collector.store: forward by otlp, kafka or http" -}}
{{- end -}}
{{- if eq (dig "admin" "enabled" true $config) false -}}
{{- fail "collector.config.admin.enabled: false leaves the probes nobody to ask: take it out" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled $v.networkPolicy.egress.enabled (not $v.networkPolicy.egress.rules) -}}
{{- fail "collector.networkPolicy.egress.enabled lets nothing but DNS out, and the store is outside of the pod: add a rule to collector.networkPolicy.egress.rules" -}}
{{- end -}}
{{- with include "hookgate.plainSecret" (dict "value" $config "key" "collector.config") -}}
{{- fail (printf "%s: a secret as it is would stand in a ConfigMap: write ${NAME} there, and name the variable and its Secret in collector.extraEnv" .) -}}
{{- end -}}
{{- if $v.console.enabled -}}
{{- $console := include "hookgate.consoleConfig" . | fromYaml -}}
{{- if not (or (dig "oidc" "issuer" "" $console.console) (dig "tokens" "" $console.console)) -}}
{{- fail "collector.console.enabled: nothing says who may look: set console.oidc or console.tokens in collector.console.config" -}}
{{- end -}}
{{- if not (or $v.console.tlsSecret (hasPrefix "https:" (dig "public_url" "" $console.console))) -}}
{{- fail "collector.console.enabled: set collector.console.tlsSecret, or console.public_url in collector.console.config to the https URL of what stands before it" -}}
{{- end -}}
{{- if and (ne $v.store.schema "hookgate") (not $v.console.storeSecret) -}}
{{- fail "collector.store.schema: the console reads `hookgate` unless its URL says ?search_path=NAME: name a Secret with such a URL in collector.console.storeSecret" -}}
{{- end -}}
{{- with include "hookgate.plainSecret" (dict "value" $console "key" "collector.console.config") -}}
{{- fail (printf "%s: a secret as it is would stand in a ConfigMap: write ${NAME} there, and name the variable and its Secret in collector.console.extraEnv" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the collector's and the console's pods have in common: (dict "root" $ "selector" LABELS). */}}
{{- define "hookgate.statelessPod" -}}
{{- $v := .root.Values -}}
serviceAccountName: {{ include "hookgate.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
shareProcessNamespace: false
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- $context := dict "runAsNonRoot" true "runAsUser" $v.security.hookgateUser "runAsGroup" $v.security.group "fsGroup" $v.security.group "seccompProfile" (dict "type" "RuntimeDefault") }}
  {{- mustMergeOverwrite $context (deepCopy $v.podSecurityContext) | toYaml | nindent 2 }}
{{ include "hookgate.placement" (dict "root" .root "selector" .selector) }}
{{- end -}}

{{/* A pod's labels and annotations: (dict "root" $ "selector" LABELS "config" TEXT). */}}
{{- define "hookgate.statelessMetadata" -}}
labels:
  {{- merge (dict) (.selector | fromYaml) .root.Values.podLabels .root.Values.commonLabels | toYaml | nindent 2 }}
annotations:
  checksum/config: {{ .config | sha256sum }}
  {{- with merge (dict) .root.Values.podAnnotations .root.Values.commonAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The name is the one that `hookgate fleet`, run in the pod, looks for. */}}
{{- define "hookgate.storeUrl" -}}
- name: HOOKGATE_STORE
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end -}}
