{{- define "hookgate.containerSecurity" -}}
runAsUser: {{ .user }}
runAsGroup: {{ .root.Values.security.group }}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The variables of Hookgate's containers. */}}
{{- define "hookgate.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- if eq .Values.store.type "postgres" }}
- name: HOOKGATE_STORE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.postgres.existingSecret }}
      key: {{ .Values.store.postgres.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "hookgate.mounts" -}}
{{- $v := .root.Values -}}
- {name: hookgate-config, mountPath: /etc/hookgate/config, readOnly: true}
- {name: hookgate-journal, mountPath: /var/lib/hookgate}
- {name: hookgate-tmp, mountPath: /tmp}
{{- if include "hookgate.hasPdp" .root }}
- {name: hookgate-run, mountPath: /run/cerbos}
{{- end }}
{{- if not .sidecar }}
{{- if include "hookgate.tlsSecret" .root }}
- {name: tls, mountPath: /etc/hookgate/tls, readOnly: true}
{{- end }}
{{- if $v.tls.clientCa.existingSecret }}
- {name: client-ca, mountPath: /etc/hookgate/client-ca, readOnly: true}
{{- end }}
{{- if and $v.enroll.url $v.enroll.caSecret }}
- {name: collector-ca, mountPath: /etc/hookgate/collector-ca, readOnly: true}
{{- end }}
{{- end }}
{{- range (include "hookgate.ownSecrets" .root | fromYamlArray) }}
- {name: {{ .volume }}, mountPath: {{ .path }}, readOnly: true}
{{- end }}
{{- if $v.identity.kubernetes.enabled }}
- {name: hookgate-api, mountPath: /var/run/hookgate/api, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Secrets that Hookgate reads as files, wherever it runs. */}}
{{- define "hookgate.ownSecrets" -}}
{{- $found := list -}}
{{- with .Values.pdp.external.tls.caSecret }}{{ $found = append $found (dict "volume" "pdp-ca" "secret" . "path" "/etc/hookgate/pdp-ca") }}{{ end -}}
{{- with .Values.pdp.external.tls.clientSecret }}{{ $found = append $found (dict "volume" "pdp-client" "secret" . "path" "/etc/hookgate/pdp-client") }}{{ end -}}
{{- with .Values.identity.tokens.existingSecret }}{{ $found = append $found (dict "volume" "tokens" "secret" . "path" "/etc/hookgate/tokens") }}{{ end -}}
{{- with .Values.identity.directory.existingSecret }}{{ $found = append $found (dict "volume" "directory" "secret" . "path" "/etc/hookgate/directory") }}{{ end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Everybody can write an emptyDir. The socket's own directory belongs to the PDP, and its group may only look for it. */}}
{{- define "hookgate.prepareContainer" -}}
name: hookgate-prepare
image: {{ include "hookgate.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command:
  - python3
  - -I
  - -c
  - |-
    import os, sys
    for path in sys.argv[1:]:
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o750)
  - /run/cerbos/pdp
  - /var/lib/cerbos/cache
  - /var/lib/cerbos/audit
  - /var/lib/cerbos/work
  - /var/lib/cerbos/checkout
resources:
  {{- toYaml .root.Values.policies.reload.resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" .root.Values.security.pdpUser) | nindent 2 }}
volumeMounts:
  - {name: hookgate-run, mountPath: /run/cerbos}
  - {name: hookgate-pdp-state, mountPath: /var/lib/cerbos}
{{- end -}}

{{- define "hookgate.pdpContainer" -}}
{{- $v := .root.Values -}}
name: hookgate-pdp
image: {{ include "hookgate.pdpImage" .root }}
imagePullPolicy: {{ $v.pdp.image.pullPolicy }}
# A native sidecar: it is there before Hookgate, and ends after it.
restartPolicy: Always
args: [server, --config=/etc/cerbos/pdp.yaml, --log-level={{ $v.pdp.logLevel }}]
env:
  - {name: GOGC, value: {{ $v.pdp.gogc | quote }}}
  # Policies are read in a quarter of the time, with 100 MB more for a moment.
  - {name: CERBOS_RULE_TABLE_GC_PERCENT, value: "0"}
  - {name: HOME, value: /tmp}
  {{- if include "hookgate.reloads" .root }}
  - name: CERBOS_ADMIN_USERNAME
    valueFrom: {secretKeyRef: {name: {{ include "hookgate.adminSecret" .root }}, key: username}}
  - name: CERBOS_ADMIN_PASSWORD_HASH
    valueFrom: {secretKeyRef: {name: {{ include "hookgate.adminSecret" .root }}, key: passwordHash}}
  {{- end }}
  {{- if and (eq $v.policies.source "git") (eq $v.policies.git.protocol "https") $v.policies.git.existingSecret }}
  - name: GIT_USERNAME
    valueFrom: {secretKeyRef: {name: {{ $v.policies.git.existingSecret }}, key: username}}
  - name: GIT_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ $v.policies.git.existingSecret }}, key: password}}
  {{- end }}
  {{- if and (eq $v.policies.source "git") (eq $v.policies.git.protocol "ssh") }}
  - {name: SSH_KNOWN_HOSTS, value: /etc/cerbos-git/known_hosts}
  {{- end }}
  {{- if eq $v.policies.source "hub" }}
  - name: CERBOS_HUB_CLIENT_ID
    valueFrom: {secretKeyRef: {name: {{ $v.policies.hub.existingSecret }}, key: clientId}}
  - name: CERBOS_HUB_CLIENT_SECRET
    valueFrom: {secretKeyRef: {name: {{ $v.policies.hub.existingSecret }}, key: clientSecret}}
  {{- end }}
  {{- with $v.pdp.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if and (eq $v.policies.source "blob") $v.policies.blob.existingSecret }}
envFrom:
  - secretRef: {name: {{ $v.policies.blob.existingSecret }}}
{{- end }}
{{- if $v.pdp.metrics.enabled }}
ports:
  - {name: pdp-http, containerPort: {{ $v.pdp.metrics.port }}}
{{- end }}
# Nothing but the pod reaches its socket, so it asks itself.
startupProbe:
  exec: {command: [/cerbos, healthcheck, --config=/etc/cerbos/pdp.yaml, --timeout=2s]}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 120
livenessProbe:
  exec: {command: [/cerbos, healthcheck, --config=/etc/cerbos/pdp.yaml, --timeout=5s]}
  periodSeconds: 20
  timeoutSeconds: 6
  failureThreshold: 6
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" $v.security.pdpUser) | nindent 2 }}
volumeMounts:
  - {name: hookgate-pdp-config, mountPath: /etc/cerbos, readOnly: true}
  - {name: hookgate-run, mountPath: /run/cerbos}
  - {name: hookgate-pdp-state, mountPath: /var/lib/cerbos}
  - {name: hookgate-pdp-tmp, mountPath: /tmp}
  {{- if eq $v.policies.source "configMap" }}
  - {name: hookgate-policies, mountPath: /policies, readOnly: true}
  {{- end }}
  {{- if and (eq $v.policies.source "git") (eq $v.policies.git.protocol "ssh") }}
  - {name: hookgate-git, mountPath: /etc/cerbos-git, readOnly: true}
  {{- end }}
{{- end -}}

{{- define "hookgate.reloadContainer" -}}
{{- $v := .root.Values -}}
name: hookgate-reload
image: {{ include "hookgate.image" .root }}
imagePullPolicy: {{ $v.image.pullPolicy }}
restartPolicy: Always
command: [hookgate, policies, follow, /policies, --admin, /run/cerbos/pdp/http.sock, --interval, {{ $v.policies.reload.intervalSeconds | quote }}]
env:
  - name: CERBOS_ADMIN_USERNAME
    valueFrom: {secretKeyRef: {name: {{ include "hookgate.adminSecret" .root }}, key: username}}
  - name: CERBOS_ADMIN_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ include "hookgate.adminSecret" .root }}, key: password}}
resources:
  {{- toYaml $v.policies.reload.resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" $v.security.pdpUser) | nindent 2 }}
volumeMounts:
  - {name: hookgate-policies, mountPath: /policies, readOnly: true}
  - {name: hookgate-run, mountPath: /run/cerbos}
{{- end -}}

{{- define "hookgate.shipContainer" -}}
name: hookgate-ship
image: {{ include "hookgate.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
# A native sidecar: it ends after the service, and so ships its last records.
restartPolicy: Always
command: [hookgate, ship, --config, /etc/hookgate/config/hookgate.yaml, --metrics, "0.0.0.0:9465"]
env:
  {{- include "hookgate.env" .root | nindent 2 }}
{{- with .root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: ship, containerPort: 9465}
livenessProbe:
  httpGet: {path: /livez, port: ship}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .root.Values.shipping.resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" .root.Values.security.hookgateUser) | nindent 2 }}
volumeMounts:
  {{- include "hookgate.mounts" . | nindent 2 }}
{{- end -}}

{{- define "hookgate.enrollContainer" -}}
{{- $v := .root.Values -}}
name: hookgate-enroll
image: {{ include "hookgate.image" .root }}
imagePullPolicy: {{ $v.image.pullPolicy }}
# Beside the service, which decides and records whether or not there is a collector.
restartPolicy: Always
command:
  - python3
  - -I
  - -c
  - {{ .root.Files.Get "files/enroll.py" | toJson }}
  - /etc/hookgate/codes
  - /var/lib/hookgate/audit
  - {{ $v.enroll.url }}
  {{- if $v.enroll.caSecret }}
  - --ca=/etc/hookgate/collector-ca/ca.crt
  {{- end }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
resources:
  {{- toYaml $v.enroll.resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" $v.security.hookgateUser) | nindent 2 }}
volumeMounts:
  - {name: hookgate-journal, mountPath: /var/lib/hookgate}
  - {name: hookgate-tmp, mountPath: /tmp}
  - {name: hookgate-codes, mountPath: /etc/hookgate/codes, readOnly: true}
  {{- if $v.enroll.caSecret }}
  - {name: collector-ca, mountPath: /etc/hookgate/collector-ca, readOnly: true}
  {{- end }}
{{- end -}}

{{- define "hookgate.serveContainer" -}}
{{- $v := .root.Values -}}
name: hookgate
image: {{ include "hookgate.image" .root }}
imagePullPolicy: {{ $v.image.pullPolicy }}
{{- if .sidecar }}
restartPolicy: Always
{{- end }}
command: [hookgate, serve, --config, /etc/hookgate/config/hookgate.yaml]
env:
  {{- include "hookgate.env" .root | nindent 2 }}
{{- with $v.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if not .sidecar }}
  - {name: hooks, containerPort: {{ .config.server.port }}}
  {{- end }}
  - {name: {{ ternary "hookgate-admin" "admin" .sidecar }}, containerPort: {{ .config.admin.port }}}
startupProbe:
  # A sidecar is ready before the agent begins.
  httpGet: {path: {{ ternary "/readyz" "/livez" .sidecar }}, port: {{ .config.admin.port }}}
  periodSeconds: {{ $v.probes.startup.periodSeconds }}
  timeoutSeconds: 3
  failureThreshold: {{ $v.probes.startup.failureThreshold }}
livenessProbe:
  httpGet: {path: /livez, port: {{ .config.admin.port }}}
  {{- toYaml $v.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: {{ .config.admin.port }}}
  {{- toYaml $v.probes.readiness | nindent 2 }}
{{- if not .sidecar }}
lifecycle:
  preStop:
    # New connections are no longer sent here once the endpoint is gone; those that come meanwhile are answered.
    sleep: {seconds: {{ $v.preStopSeconds }}}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- include "hookgate.containerSecurity" (dict "root" .root "user" $v.security.hookgateUser) | nindent 2 }}
volumeMounts:
  {{- include "hookgate.mounts" . | nindent 2 }}
{{- end -}}

{{/* The volumes: (dict "root" $ "sidecar" BOOL). */}}
{{- define "hookgate.volumes" -}}
{{- $root := .root -}}{{- $v := .root.Values -}}{{- $full := include "hookgate.fullname" .root -}}
- name: hookgate-config
  configMap: {name: {{ $full }}{{ if .sidecar }}-sidecar-config{{ else }}-config{{ end }}}
{{- if or .sidecar (not (include "hookgate.hasVolume" .root)) }}
- name: hookgate-journal
  emptyDir: {{ toJson $v.persistence.emptyDir }}
{{- end }}
- name: hookgate-tmp
  emptyDir: {}
{{- if include "hookgate.hasPdp" .root }}
- name: hookgate-run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: hookgate-pdp-config
  configMap: {name: {{ $full }}-pdp}
- name: hookgate-pdp-state
  emptyDir: {}
- name: hookgate-pdp-tmp
  emptyDir: {}
{{- if eq $v.policies.source "configMap" }}
- name: hookgate-policies
  configMap:
    name: {{ default (printf "%s-policies" $full) $v.policies.existingConfigMap }}
    {{- if $v.policies.existingConfigMap }}
    {{- with $v.policies.existingItems }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- else }}
    items:
      {{- range $name, $_ := (include "hookgate.policyFiles" $root | fromYaml) }}
      - {key: {{ include "hookgate.key" $name }}, path: {{ $name }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- if and (eq $v.policies.source "git") (eq $v.policies.git.protocol "ssh") }}
- name: hookgate-git
  secret: {secretName: {{ $v.policies.git.existingSecret }}, defaultMode: {{ ternary 0444 0440 .sidecar }}}
{{- end }}
{{- end }}
{{- if not .sidecar }}
{{- with include "hookgate.tlsSecret" .root }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with $v.tls.clientCa.existingSecret }}
- name: client-ca
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if $v.enroll.url }}
{{- with $v.enroll.caSecret }}
- name: collector-ca
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
# Enrolled pods need no code any more, and decisions wait for none.
- name: hookgate-codes
  secret: {secretName: {{ $v.enroll.codesSecret }}, defaultMode: 0440, optional: true}
{{- end }}
{{- end }}
{{- range (include "hookgate.ownSecrets" $root | fromYamlArray) }}
- name: {{ .volume }}
  secret: {secretName: {{ .secret }}, defaultMode: {{ ternary 0444 0440 $.sidecar }}}
{{- end }}
{{- if $v.identity.kubernetes.enabled }}
- name: hookgate-api
  projected:
    sources:
      - serviceAccountToken: {audience: {{ $v.identity.kubernetes.apiAudience | quote }}, expirationSeconds: 3600, path: token}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- if .sidecar }}
- name: hookgate-managed-settings
  configMap: {name: {{ $full }}-managed-settings}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
