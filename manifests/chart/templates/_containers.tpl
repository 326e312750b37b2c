{{- define "kube-dns.kubedns" -}}
- name: kubedns
  image: {{ include "kube-dns.image" (dict "name" "kubedns" "root" .) }}
  imagePullPolicy: {{ .Values.images.pullPolicy }}
  args:
    - --domain={{ include "kube-dns.domain" . }}.
    - --dns-port=10053
    {{- if not .Values.kubednsPort }}
    - --dns-bind-address=127.0.0.1
    {{- end }}
    - --config-dir=/kube-dns-config
    - --negative-ttl=1s
    - --lameduck=20s
    - --v=2
    {{- with .Values.nameservers }}
    - --nameservers={{ join "," . }}
    {{- end }}
    {{- if .Values.clustersetDomain }}
    - --clusterset-domain={{ include "kube-dns.clusterset" . }}.
    {{- end }}
    {{- with .Values.autopath }}
    - --autopath={{ . }}
    {{- end }}
    {{- range .Values.extraArgs.kubedns }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: PROMETHEUS_PORT
      value: "10055"
  ports:
    - {containerPort: 10055, name: metrics, protocol: TCP}
    {{- if .Values.kubednsPort }}
    - {containerPort: 10053, name: dns-local, protocol: UDP}
    - {containerPort: 10053, name: dns-tcp-local, protocol: TCP}
    {{- end }}
  resources:
    {{- toYaml .Values.resources.kubedns | nindent 4 }}
  livenessProbe:
    httpGet: {path: /healthz-kubedns, port: 8080, scheme: HTTP}
    initialDelaySeconds: 60
    timeoutSeconds: 5
    successThreshold: 1
    failureThreshold: 5
  readinessProbe:
    httpGet: {path: /readiness, port: 8081, scheme: HTTP}
    initialDelaySeconds: 1
    periodSeconds: 2
    timeoutSeconds: 5
  volumeMounts:
    - {name: kube-dns-config, mountPath: /kube-dns-config, readOnly: true}
    - {name: kube-api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  securityContext:
    {{- include "kube-dns.restricted" 1001 | nindent 4 }}
{{- end }}

{{- define "kube-dns.dnscache" -}}
- name: dnscache
  image: {{ include "kube-dns.image" (dict "name" "dnscache" "root" .) }}
  imagePullPolicy: {{ .Values.images.pullPolicy }}
  args:
    {{- if .Values.direct }}
    - -v=2
    - -logtostderr
    - -configDir=/etc/k8s/dns/dnsmasq-nanny
    - -restartDnsmasq=true
    - --
    - -k
    - --cache-size=1000
    - --dns-loop-detect
    - --log-facility=-
    {{- end }}
    - --server=/{{ include "kube-dns.domain" . }}/127.0.0.1#10053
    - --server=/in-addr.arpa/127.0.0.1#10053
    - --server=/ip6.arpa/127.0.0.1#10053
    {{- if not .Values.direct }}
    - --server=127.0.0.1#10053
    - --cache-size=1000
    - --no-resolv
    - --log-facility=-
    {{- end }}
    - --serve-stale=1h
    - --lameduck=15s
    - --metrics-address=:10054
    {{- if .Values.clustersetDomain }}
    - --server=/{{ include "kube-dns.clusterset" . }}/127.0.0.1#10053
    {{- end }}
    {{- range .Values.extraArgs.dnscache }}
    - {{ . | quote }}
    {{- end }}
  ports:
    - {containerPort: 53, name: dns, protocol: UDP}
    - {containerPort: 53, name: dns-tcp, protocol: TCP}
    - {containerPort: 10054, name: cache-metrics, protocol: TCP}
  resources:
    {{- toYaml .Values.resources.dnscache | nindent 4 }}
  livenessProbe:
    httpGet: {path: /healthz-dnsmasq, port: 8080, scheme: HTTP}
    initialDelaySeconds: 60
    timeoutSeconds: 5
    successThreshold: 1
    failureThreshold: 5
  {{- if .Values.direct }}
  volumeMounts:
    - {name: kube-dns-config, mountPath: /etc/k8s/dns/dnsmasq-nanny, readOnly: true}
  {{- end }}
  securityContext:
    {{- include "kube-dns.restricted" 65534 | nindent 4 }}
{{- end }}

{{- define "kube-dns.exechealthz" -}}
- name: healthz
  image: {{ include "kube-dns.image" (dict "name" "exechealthz" "root" .) }}
  imagePullPolicy: {{ .Values.images.pullPolicy }}
  args:
    - >-
      --cmd=nslookup kubernetes.default.svc.{{ include "kube-dns.domain" . }} 127.0.0.1 >/dev/null &&
      { ! nslookup 10-0-0-2.check$RANDOM.pod.{{ include "kube-dns.domain" . }} 127.0.0.1:10053 >/dev/null ||
      nslookup 10-0-0-1.check$RANDOM.pod.{{ include "kube-dns.domain" . }} 127.0.0.1 >/dev/null; }
    - --url=/healthz-dnsmasq
    - --cmd=nslookup kubernetes.default.svc.{{ include "kube-dns.domain" . }} 127.0.0.1:10053 >/dev/null
    - --url=/healthz-kubedns
    - --port=8080
    - --quiet
    {{- range .Values.extraArgs.exechealthz }}
    - {{ . | quote }}
    {{- end }}
  ports:
    - {containerPort: 8080, name: healthz, protocol: TCP}
  resources:
    {{- toYaml .Values.resources.exechealthz | nindent 4 }}
  livenessProbe:
    httpGet: {path: /metrics, port: 8080, scheme: HTTP}
    terminationGracePeriodSeconds: 5
    initialDelaySeconds: 60
    timeoutSeconds: 5
    successThreshold: 1
    failureThreshold: 3
  securityContext:
    {{- include "kube-dns.restricted" 65534 | nindent 4 }}
{{- end }}
