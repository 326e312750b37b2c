# The targets only call hack/*.sh, and each of those scripts can be run by itself.
SHELL := /bin/sh
.DEFAULT_GOAL := build
.PHONY: build run test check bench fuzz soak soak-dnscache soak-tls images release cluster cluster-down test-cluster test-conformance verify soak-cluster clean help

build: ## build bin/kubedns, bin/dnscache and bin/exechealthz
	@./hack/build.sh

run: build ## start the whole addon on loopback and look up a few names (ONCE=1: exit afterwards)
	@./hack/run.sh

test: ## run the tests that need no cluster: unit, conformance, end to end with a real API server
	@./hack/test.sh

check: ## check formatting, linters, dead code, known vulnerabilities, import rules; unit tests with the race detector
	@./hack/check.sh

bench: build ## compare CPU, memory and delays with dnsmasq, unbound and CoreDNS
	@./hack/bench.sh

fuzz: ## run each fuzz target for FUZZTIME (default 30s)
	@./hack/fuzz.sh

soak: ## change the cluster and break the API server under constant queries, for SOAK (default 8h)
	@./hack/soak.sh

soak-dnscache: build ## query dnscache at full rate while its upstream servers fail, for SOAK (default 20m)
	@./hack/soak-dnscache.sh

soak-tls: ## query both programs while their servers over TLS fail in all ways and change certificates, for SOAK (default 5m)
	@./hack/soak-tls.sh

images: ## write the three images to dist/ as archives
	@./hack/images.sh

release: ## write a release to dist/release: VERSION=v1.2.3
	@./hack/release.sh "$(VERSION)"

cluster: ## bring up a one-node cluster with the addon on this machine (root, Linux)
	@./hack/cluster/up.sh

cluster-down: ## remove that cluster
	@./hack/cluster/down.sh

test-cluster: ## test the addon on such a cluster (root, Linux)
	@./hack/test-cluster.sh

test-conformance: ## run Kubernetes' own DNS specs on such a cluster, IPv4 first, then IPv6 first (root, Linux)
	@./hack/test-conformance.sh

verify: ## build, check and test a fresh clone, and print one page about it (root, Linux)
	@./hack/verify.sh

soak-cluster: ## repeat outages, kills and scaling to hundreds of Pods on such a cluster, for SOAK (default 12m) plus 8 minutes
	@SOAK=$${SOAK:-12m} TIMEOUT=$${TIMEOUT:-45m} ./hack/test-cluster.sh

clean: ## remove bin and dist
	rm -rf bin dist

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
