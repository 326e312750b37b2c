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

{{- define "kube-dns.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}
