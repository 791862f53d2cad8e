{{- define "hookgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "hookgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "hookgate.name" . -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hookgate.selector" -}}
{{- include "hookgate.selectorOf" (dict "root" . "component" "gateway") -}}
{{- end -}}
{{- define "hookgate.selectorOf" -}}
app.kubernetes.io/name: {{ include "hookgate.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "hookgate.labels" -}}
{{- $own := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $own "app.kubernetes.io/name" (include "hookgate.name" .) -}}
{{- $_ := set $own "app.kubernetes.io/instance" .Release.Name -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "hookgate" -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The metadata of an object: (dict "root" $ "name" NAME "labels" MAP "annotations" MAP). An object's own labels count for more than those of all. */}}
{{- define "hookgate.metadata" -}}
{{- $labels := merge (dict) (default (dict) .labels) -}}
{{- with .component }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- merge $labels (include "hookgate.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "hookgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hookgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "hookgate.image" -}}
{{- if .Values.image.digest -}}{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}{{- end -}}
{{- end -}}

{{- define "hookgate.pdpImage" -}}
{{- with .Values.pdp.image -}}
{{- if .digest -}}{{ printf "%s@%s" .repository .digest }}{{- else -}}{{ printf "%s:%s" .repository .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" or nothing: is there a Hookgate that decides, is Cerbos in its pod, does the gateway keep its journal, are there several, is a ConfigMap reloaded. */}}
{{- define "hookgate.decides" -}}{{- if or (include "hookgate.hasGateway" .) .Values.sidecar.enabled }}true{{ end -}}{{- end -}}
{{- define "hookgate.hasPdp" -}}{{- if and (include "hookgate.decides" .) (not .Values.pdp.external.address) }}true{{ end -}}{{- end -}}
{{- define "hookgate.hasGateway" -}}{{- if ne .Values.kind "None" }}true{{ end -}}{{- end -}}
{{- define "hookgate.hasVolume" -}}{{- if and (eq .Values.kind "StatefulSet") .Values.persistence.enabled }}true{{ end -}}{{- end -}}
{{- define "hookgate.isSeveral" -}}
{{- if or (gt (int .Values.replicas) 1) (and .Values.autoscaling.enabled (gt (int .Values.autoscaling.maxReplicas) 1)) }}true{{ end -}}
{{- end -}}
{{- define "hookgate.reloads" -}}
{{- if and (include "hookgate.hasPdp" .) (eq .Values.policies.source "configMap") .Values.policies.reload.enabled }}true{{ end -}}
{{- end -}}
{{- define "hookgate.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager.enabled -}}{{ include "hookgate.fullname" . }}-tls{{- end -}}
{{- end -}}
{{- define "hookgate.adminSecret" -}}
{{- default (printf "%s-pdp-admin" (include "hookgate.fullname" .)) .Values.policies.reload.existingSecret -}}
{{- end -}}
{{- define "hookgate.bundledPolicies" -}}
{{- if and (include "hookgate.hasPdp" .) (eq .Values.policies.source "configMap") (not .Values.policies.files) (not .Values.policies.existingConfigMap) }}true{{ end -}}
{{- end -}}

{{/* A key of a ConfigMap can't hold a slash. */}}
{{- define "hookgate.key" -}}{{- . | replace "/" "__" -}}{{- end -}}

{{/* The policies as they lie in the PDP's directory, as YAML: name to text. Cerbos walks no linked directory, and those of a ConfigMap are: all but the
schemas lie flat. */}}
{{- define "hookgate.policyFiles" -}}
{{- $files := dict -}}
{{- if .Values.policies.files -}}
{{- $files = .Values.policies.files -}}
{{- else -}}
{{- range $path, $_ := .Files.Glob "files/policies/**.yaml" -}}
{{- $name := trimPrefix "files/policies/" $path -}}
{{- if not (hasPrefix "tests/" $name) -}}
{{- $_ := set $files (base $name) ($.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- range $path, $_ := .Files.Glob "files/policies/_schemas/*.json" -}}
{{- $_ := set $files (printf "_schemas/%s" (base $path)) ($.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* Where pods run: (dict "root" $ "selector" LABELS). */}}
{{- define "hookgate.placement" -}}
{{- $v := .root.Values -}}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $v.affinity }}
affinity:
  {{- toYaml $v.affinity | nindent 2 }}
{{- else if eq $v.antiAffinity "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- .selector | nindent 12 }}
{{- else if eq $v.antiAffinity "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- .selector | nindent 14 }}
{{- end }}
{{- if $v.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- $.selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}
