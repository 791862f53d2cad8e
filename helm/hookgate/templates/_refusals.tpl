{{/* What does not go together, each with what to do about it. */}}
{{- define "hookgate.refusals" -}}
{{- $v := .Values -}}
{{- $config := fromYaml (include "hookgate.config" (dict "root" . "sidecar" false)) -}}
{{- $off := list -}}
{{- range $config.audit.shippers }}{{- if has .type (list "postgres" "otlp" "kafka" "http" "collector") }}{{- $off = append $off .type }}{{- end }}{{- end -}}
{{- if and (include "hookgate.hasGateway" .) (not (include "hookgate.hasVolume" .)) (not $off) -}}
{{- fail (printf "kind: %s without a volume for the journal: its records end with the pod. Name a sink outside of it (store.type: postgres, or shippers with otlp, kafka or http), or take kind: StatefulSet with persistence.enabled: true" $v.kind) -}}
{{- end -}}
{{- if and $v.sidecar.enabled (not $off) -}}
{{- fail "sidecar.enabled: a sidecar's journal ends with its pod: name a sink outside of it (store.type: postgres, or shippers with otlp, kafka or http)" -}}
{{- end -}}
{{- if not (or (include "hookgate.decides" .) $v.collector.enabled) -}}
{{- fail "kind: None without sidecar.enabled or collector.enabled makes nothing: take kind: StatefulSet, or one of them" -}}
{{- end -}}
{{- if and $v.enroll.url (not (include "hookgate.hasVolume" .)) -}}
{{- fail "enroll.url: a code enrols one journal, and one that ends with its pod would need another code each time: take kind: StatefulSet with persistence.enabled: true" -}}
{{- end -}}
{{- if and $v.enroll.url (not $v.enroll.codesSecret) -}}
{{- fail "enroll.url needs enroll.codesSecret: a Secret with a code for each replica, by the pod's name" -}}
{{- end -}}
{{- if $v.collector.enabled }}{{ include "hookgate.collectorRefusals" . }}{{ end -}}
{{- if and (eq $v.store.type "postgres") (not $v.store.postgres.existingSecret) -}}
{{- fail "store.type: postgres needs store.postgres.existingSecret: a Secret with the URL" -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled $v.tls.existingSecret -}}
{{- fail "tls.existingSecret and tls.certManager.enabled: one certificate, please: take one of them out" -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled (not $v.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled needs tls.certManager.issuerRef.name" -}}
{{- end -}}
{{- if and (or $v.tls.clientCa.existingSecret $v.tls.clientRequired) (not (include "hookgate.tlsSecret" .)) -}}
{{- fail "tls.clientCa and tls.clientRequired need a certificate of the listener: set tls.existingSecret or tls.certManager.enabled" -}}
{{- end -}}
{{- if and $v.tls.clientRequired (not $v.tls.clientCa.existingSecret) -}}
{{- fail "tls.clientRequired needs tls.clientCa.existingSecret: the authorities of clients' certificates" -}}
{{- end -}}
{{- if and $v.tls.clientRequired $v.helmTest.enabled (not $v.helmTest.clientSecret) -}}
{{- fail "tls.clientRequired: `helm test` needs a client certificate, too: set helmTest.clientSecret, or helmTest.enabled: false" -}}
{{- end -}}
{{- if include "hookgate.hasPdp" . -}}
{{- if and (eq $v.policies.source "git") (not $v.policies.git.url) }}{{ fail "policies.source: git needs policies.git.url" }}{{ end -}}
{{- if and (eq $v.policies.source "git") (eq $v.policies.git.protocol "ssh") (not $v.policies.git.existingSecret) }}{{ fail "policies.git.protocol: ssh needs policies.git.existingSecret with `ssh-privatekey` and `known_hosts`" }}{{ end -}}
{{- if and (eq $v.policies.source "blob") (not $v.policies.blob.bucket) }}{{ fail "policies.source: blob needs policies.blob.bucket" }}{{ end -}}
{{- if and (eq $v.policies.source "hub") (not $v.policies.hub.deploymentId) }}{{ fail "policies.source: hub needs policies.hub.deploymentId" }}{{ end -}}
{{- if and (eq $v.policies.source "hub") (not $v.policies.hub.existingSecret) }}{{ fail "policies.source: hub needs policies.hub.existingSecret with `clientId` and `clientSecret`" }}{{ end -}}
{{- if and (include "hookgate.reloads" .) $v.pdp.metrics.enabled -}}
{{- fail "pdp.metrics.enabled puts Cerbos's HTTP listener on TCP, and the Admin API with it, which reloads the ConfigMap: set policies.reload.enabled: false, or take policies.source: git" -}}
{{- end -}}
{{- if and $v.policies.files $v.policies.existingConfigMap -}}
{{- fail "policies.files and policies.existingConfigMap: policies come from one of them: take the other out" -}}
{{- end -}}
{{- else if and $v.pdp.metrics.enabled $v.pdp.external.address -}}
{{- fail "pdp.metrics.enabled is about the PDP beside Hookgate, and pdp.external.address names another" -}}
{{- end -}}
{{- if le (float64 $v.preStopSeconds) (float64 (default 2 (dig "decision" "deadline_seconds" nil $config))) -}}
{{- fail (printf "preStopSeconds: %v is not longer than a decision may take (config.decision.deadline_seconds)" $v.preStopSeconds) -}}
{{- end -}}
{{- if eq (dig "admin" "enabled" true $config) false -}}
{{- fail "config.admin.enabled: false leaves the probes nobody to ask: take it out" -}}
{{- end -}}
{{- if and (include "hookgate.hasPdp" .) (ne $config.pdp.address "unix:/run/cerbos/pdp/pdp.sock") -}}
{{- fail "config.pdp.address: the PDP beside Hookgate has its own: name another one in pdp.external.address" -}}
{{- end -}}
{{- $grace := int (include "hookgate.leastGrace" .) -}}
{{- if and $v.terminationGracePeriodSeconds (lt (int $v.terminationGracePeriodSeconds) $grace) -}}
{{- fail (printf "terminationGracePeriodSeconds: %v is less than preStopSeconds, server.grace_seconds and the last shipping take together: at least %d, or 0 for just that" $v.terminationGracePeriodSeconds $grace) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not $v.autoscaling.cpuPercent) (not $v.autoscaling.inFlight) -}}
{{- fail "autoscaling.enabled needs autoscaling.cpuPercent or autoscaling.inFlight to go by" -}}
{{- end -}}
{{- if and $v.monitoring.serviceMonitor.enabled $v.monitoring.podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor: each decision would be counted twice: take one of them" -}}
{{- end -}}
{{- with include "hookgate.plainSecret" (dict "value" $config "key" "config") -}}
{{- fail (printf "%s: a secret as it is would stand in a ConfigMap: write ${NAME} there, and name the variable and its Secret in extraEnv" .) -}}
{{- end -}}
{{- if include "hookgate.hasPdp" . -}}
{{- with include "hookgate.plainSecret" (dict "value" (include "hookgate.pdpConfig" . | fromYaml) "key" "pdp.config") -}}
{{- fail (printf "%s: a secret as it is would stand in a ConfigMap: write ${NAME} there, and name the variable and its Secret in pdp.extraEnv" .) -}}
{{- end -}}
{{- end -}}
{{- with include "hookgate.plainSecret" (dict "value" $v.helmTest.headers "key" "helmTest.headers") -}}
{{- fail (printf "%s: a secret as it is would stand in a pod: name its Secret in helmTest.token.existingSecret" .) -}}
{{- end -}}
{{- if and (include "hookgate.hasGateway" .) $v.networkPolicy.enabled $v.networkPolicy.egress.enabled (not $v.networkPolicy.egress.rules) -}}
{{- $outside := $off -}}
{{- if not (include "hookgate.hasPdp" .) }}{{ $outside = append $outside "pdp.external" }}
{{- else if ne $v.policies.source "configMap" }}{{ $outside = append $outside (printf "policies.source: %s" $v.policies.source) }}{{ end -}}
{{- if $v.identity.kubernetes.enabled }}{{ $outside = append $outside "identity.kubernetes" }}{{ end -}}
{{- if $outside -}}
{{- fail (printf "networkPolicy.egress.enabled lets nothing but DNS out, and %s is outside of the pod: add a rule to networkPolicy.egress.rules" (join ", " $outside)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a secret stands as it is, or nothing: (dict "value" VALUE "key" PATH). A value from a variable is none. */}}
{{- define "hookgate.plainSecret" -}}
{{- $found := "" -}}
{{- $key := .key -}}
{{- if kindIs "map" .value -}}
{{- range $name, $value := .value -}}
{{- if not $found }}{{ $found = include "hookgate.plainSecret" (dict "value" $value "key" (printf "%s.%s" $key $name)) }}{{ end -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $i, $value := .value -}}
{{- if not $found }}{{ $found = include "hookgate.plainSecret" (dict "value" $value "key" (printf "%s[%d]" $key $i)) }}{{ end -}}
{{- end -}}
{{- else if and (kindIs "string" .value) .value -}}
{{- $isNamed := regexMatch "(?i)\\.((proxy-)?authorization|cookie|x-api-key|api[-_]?key|password(hash)?|(client|shared)[-_]?secret|secret[-_]?key|[a-z-]*-token)$" $key -}}
{{- $hasPassword := regexMatch "://[^/@:]*:[^/@]+@" (regexReplaceAll "\\$\\{[A-Za-z0-9_]+(:[^}]*)?\\}" .value "") -}}
{{- if or $hasPassword (and $isNamed (not (contains "${" .value))) }}{{ $found = $key }}{{ end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* preStop, running decisions, five seconds of shipping, five for the sidecars behind. */}}
{{- define "hookgate.leastGrace" -}}
{{- $config := fromYaml (include "hookgate.config" (dict "root" . "sidecar" false)) -}}
{{- add (int .Values.preStopSeconds) (int (ceil (default 10 (dig "server" "grace_seconds" nil $config)))) 10 -}}
{{- end -}}
