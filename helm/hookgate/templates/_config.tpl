{{/* Hookgate's configuration: (dict "root" $ "sidecar" BOOL). */}}
{{- define "hookgate.config" -}}
{{- $root := .root -}}{{- $v := .root.Values -}}
{{- $full := include "hookgate.fullname" $root -}}
{{- $c := dict -}}
{{- /* The PDP. */ -}}
{{- $pdp := dict "address" "unix:/run/cerbos/pdp/pdp.sock" -}}
{{- if $v.pdp.external.address -}}
{{- $pdp = dict "address" $v.pdp.external.address "allow_plaintext" $v.pdp.external.allowPlaintext -}}
{{- if $v.pdp.external.tls.enabled -}}
{{- $tls := dict "enabled" true -}}
{{- if $v.pdp.external.tls.caSecret }}{{ $_ := set $tls "ca" "/etc/hookgate/pdp-ca/ca.crt" }}{{ end -}}
{{- if $v.pdp.external.tls.clientSecret }}{{ $_ := set $tls "certificate" "/etc/hookgate/pdp-client/tls.crt" }}{{ $_ := set $tls "key" "/etc/hookgate/pdp-client/tls.key" }}{{ end -}}
{{- with $v.pdp.external.tls.serverName }}{{ $_ := set $tls "server_name" . }}{{ end -}}
{{- $_ := set $pdp "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- if include "hookgate.bundledPolicies" $root -}}
{{- $_ := set $pdp "required_kinds" (list "PreToolUse") -}}
{{- $_ := set $c "canary" (dict "required" true) -}}
{{- end -}}
{{- $_ := set $c "pdp" $pdp -}}
{{- /* The listeners. */ -}}
{{- $server := dict "host" "127.0.0.1" "port" 3594 -}}
{{- if not .sidecar -}}
{{- $own := list $full (printf "%s.%s" $full $root.Release.Namespace) (printf "%s.%s.svc" $full $root.Release.Namespace) (printf "%s.%s.svc.cluster.local" $full $root.Release.Namespace) -}}
{{- with $v.service.clusterIP }}{{ if ne . "None" }}{{ $own = append $own . }}{{ end }}{{ end -}}
{{- $server = dict "host" "0.0.0.0" "port" 3594 "allowed_hosts" (concat $own $v.hosts) -}}
{{- if include "hookgate.tlsSecret" $root -}}
{{- $tls := dict "certificate" "/etc/hookgate/tls/tls.crt" "key" "/etc/hookgate/tls/tls.key" -}}
{{- if $v.tls.clientCa.existingSecret -}}
{{- $_ := set $tls "client_ca" (printf "/etc/hookgate/client-ca/%s" $v.tls.clientCa.key) -}}
{{- with $v.tls.clientCa.crlKey }}{{ $_ := set $tls "client_crl" (printf "/etc/hookgate/client-ca/%s" .) }}{{ end -}}
{{- $_ := set $tls "client_required" $v.tls.clientRequired -}}
{{- end -}}
{{- $_ := set $server "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- $_ := set $c "server" $server -}}
{{- $_ := set $c "admin" (dict "host" "0.0.0.0" "port" 9464) -}}
{{- /* Who asks. */ -}}
{{- $sources := list -}}
{{- if $v.identity.kubernetes.enabled -}}
{{- with $v.identity.kubernetes -}}
{{- $issuer := dict "issuer" .issuer "audiences" (list .audience) "jwks_url" .jwksUrl "ca" "/var/run/hookgate/api/ca.crt" "token_file" "/var/run/hookgate/api/token" "user_claim" "sub" "claims" (list "kubernetes.io.namespace") -}}
{{- with .roles }}{{ $_ := set $issuer "roles" (dict "static" .) }}{{ end -}}
{{- $sources = append $sources (dict "type" "jwt" "issuers" (list $issuer)) -}}
{{- end -}}
{{- end -}}
{{- if $v.identity.tokens.existingSecret -}}
{{- $sources = append $sources (dict "type" "token" "file" (printf "/etc/hookgate/tokens/%s" $v.identity.tokens.key)) -}}
{{- end -}}
{{- $identity := dict -}}
{{- if $sources }}{{ $_ := set $identity "sources" (concat $sources (list (dict "type" "headers") (dict "type" "default"))) }}{{ end -}}
{{- if $v.identity.directory.existingSecret }}{{ $_ := set $identity "directory" (dict "file" (printf "/etc/hookgate/directory/%s" $v.identity.directory.key)) }}{{ end -}}
{{- if $identity }}{{ $_ := set $c "identity" $identity }}{{ end -}}
{{- /* The trail. */ -}}
{{- $shippers := list -}}
{{- if eq $v.store.type "sqlite" -}}
{{- $shippers = append $shippers (dict "type" "sqlite" "retention_days" $v.store.retentionDays) -}}
{{- else if eq $v.store.type "postgres" -}}
{{- $shippers = append $shippers (dict "type" "postgres" "url" "${HOOKGATE_STORE_URL}" "schema" $v.store.postgres.schema "retention_days" $v.store.retentionDays) -}}
{{- end -}}
{{- if and $v.enroll.url (not .sidecar) -}}
{{- $collector := dict "type" "collector" "url" $v.enroll.url "token_file" "/var/lib/hookgate/audit/collector.token" -}}
{{- if $v.enroll.caSecret }}{{ $_ := set $collector "ca" "/etc/hookgate/collector-ca/ca.crt" }}{{ end -}}
{{- $shippers = append $shippers $collector -}}
{{- end -}}
{{- $shippers = concat $shippers $v.shippers -}}
{{- $audit := dict "directory" "/var/lib/hookgate/audit" "shippers" $shippers -}}
{{- if and (not .sidecar) (include "hookgate.isSeveral" $root) }}{{ $_ := set $audit "detect_unasked" false }}{{ end -}}
{{- if and (not .sidecar) $v.shipping.ownContainer $shippers }}{{ $_ := set $audit "supervise" false }}{{ end -}}
{{- $_ := set $c "audit" $audit -}}
{{- $_ := set $c "log" (dict "format" "json") -}}
{{- toYaml (mustMergeOverwrite $c (deepCopy $v.config)) -}}
{{- end -}}

{{/* Cerbos's configuration: that of deploy/cerbos, with the pod's addresses and directories. */}}
{{- define "hookgate.pdpConfig" -}}
{{- $v := .Values -}}
{{- $source := $v.policies.source -}}
{{- $c := .Files.Get (printf "files/cerbos/%s.yaml" (ternary "disk" $source (eq $source "configMap"))) | fromYaml -}}
{{- $_ := set $c.server "grpcListenAddr" "unix:/run/cerbos/pdp/pdp.sock" -}}
{{- $_ := set $c.server "httpListenAddr" (ternary (printf ":%d" (int $v.pdp.metrics.port)) "unix:/run/cerbos/pdp/http.sock" $v.pdp.metrics.enabled) -}}
{{- $_ := set $c.server.advanced.grpc "maxRecvMsgSizeBytes" (int (default $c.server.advanced.grpc.maxRecvMsgSizeBytes (dig "pdp" "max_request_bytes" nil $v.config))) -}}
{{- if include "hookgate.reloads" . -}}
{{- $_ := set $c.server "adminAPI" (dict "enabled" true "adminCredentials" (dict "username" "${CERBOS_ADMIN_USERNAME}" "passwordHash" "${CERBOS_ADMIN_PASSWORD_HASH}")) -}}
{{- end -}}
{{- if eq $source "configMap" -}}
{{- /* The PDP does not see a ConfigMap's swap: it is told. */ -}}
{{- $_ := set $c.storage "disk" (dict "directory" "/policies" "watchForChanges" false) -}}
{{- else if eq $source "git" -}}
{{- $git := $c.storage.git -}}
{{- range $key := list "protocol" "url" "branch" "subDir" "updatePollInterval" }}{{ $_ := set $git $key (get $v.policies.git $key) }}{{ end -}}
{{- $_ := set $git "checkoutDir" "/var/lib/cerbos/checkout" -}}
{{- if $v.policies.git.existingSecret -}}
{{- if eq $v.policies.git.protocol "ssh" }}{{ $_ := set $git "ssh" (dict "user" "git" "privateKeyFile" "/etc/cerbos-git/ssh-privatekey") }}
{{- else }}{{ $_ := set $git "https" (dict "username" "${GIT_USERNAME}" "password" "${GIT_PASSWORD}") }}{{ end -}}
{{- end -}}
{{- else if eq $source "blob" -}}
{{- range $key := list "bucket" "prefix" "updatePollInterval" }}{{ $_ := set $c.storage.blob $key (get $v.policies.blob $key) }}{{ end -}}
{{- $_ := set $c.storage.blob "workDir" "/var/lib/cerbos/work" -}}
{{- else -}}
{{- $_ := set $c.storage.hub "remote" (dict "deploymentID" $v.policies.hub.deploymentId "cacheDir" "/var/lib/cerbos/cache") -}}
{{- if $v.policies.hub.audit -}}
{{- $_ := set $c.audit.hub "storagePath" "/var/lib/cerbos/audit" -}}
{{- else -}}
{{- $_ := set $c "audit" (dict "enabled" false) -}}
{{- end -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $c (deepCopy $v.pdp.config)) -}}
{{- end -}}
