{{- define "kube-dns.labels" -}}
k8s-app: kube-dns
app.kubernetes.io/name: kube-dns
app.kubernetes.io/component: cluster-dns
{{- end }}

{{- /* The image of one container: {"name": ..., "root": $}. */ -}}
{{- define "kube-dns.image" -}}
{{- $image := index .root.Values.images .name -}}
{{ $image.repository }}:{{ $image.tag | default .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* The cluster domain without its final dot. */ -}}
{{- define "kube-dns.domain" -}}
{{ trimSuffix "." .Values.domain }}
{{- end }}

{{- define "kube-dns.clusterset" -}}
{{ trimSuffix "." .Values.clustersetDomain }}
{{- end }}

{{- /* Values that are valid by themselves, but not together. */ -}}
{{- define "kube-dns.check" -}}
{{- if and (or .Values.autoscaler.enabled .Values.hpa.enabled) (not (kindIs "invalid" .Values.replicas)) -}}
{{- fail "replicas: leave it empty if autoscaler.enabled or hpa.enabled sets the number of Pods" -}}
{{- end -}}
{{- if and .Values.hpa.enabled (gt (int .Values.hpa.minReplicas) (int .Values.hpa.maxReplicas)) -}}
{{- fail "hpa.minReplicas is larger than hpa.maxReplicas" -}}
{{- end -}}
{{- $zone := include "kube-dns.clusterset" . | trim -}}
{{- $domain := include "kube-dns.domain" . | trim -}}
{{- if and $zone (or (hasSuffix (printf ".%s" $domain) (printf ".%s" $zone)) (hasSuffix (printf ".%s" $zone) (printf ".%s" $domain))) -}}
{{- fail "clustersetDomain must not be equal to, above or below domain" -}}
{{- end -}}
{{- end }}

{{- define "kube-dns.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}
