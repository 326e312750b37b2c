#!/usr/bin/env bash
# release.sh VERSION: writes everything that a release consists of to
# dist/release/VERSION: the programs, the image archives, the manifests with this
# version's image names, the Helm chart, a bill of materials (CycloneDX) for each
# program, the provenance of each file (an unsigned in-toto statement, SLSA v1), the
# release notes and the checksums. The same commit gives the same bytes, wherever it
# is built. REGISTRY is put before the image names in the manifests and the chart.
# ARCHES (default "amd64 arm64") are the architectures.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC

version=${1:-}
# Semantic Versioning 2.0.0, without build metadata, because "+" is not allowed in image tags; and
# short enough for labels.
number='(0|[1-9][0-9]*)'
word='(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)'
if [[ ! $version =~ ^v$number\.$number\.$number(-$word(\.$word)*)?$ || ${#version} -gt 50 ]]; then
	echo "release.sh: invalid version: \"$version\"; want for example v1.2.3 or v1.2.3-rc.1 (make release VERSION=v1.2.3)" >&2
	exit 2
fi
if [ -n "$(git status --porcelain)" ]; then
	echo "release.sh: commit or remove these changes first, so that the release belongs to a commit:" >&2
	git status --short >&2
	exit 1
fi
commit=$(git rev-parse HEAD)
if tagged=$(git rev-parse -q --verify "refs/tags/$version^{commit}") && [ "$tagged" != "$commit" ]; then
	echo "release.sh: the tag $version is another commit, $tagged" >&2
	exit 1
fi
arches=${ARCHES:-amd64 arm64}
prefix=${REGISTRY:+${REGISTRY%/}/}
out=dist/release/$version
rm -rf "$out"
mkdir -p "$out"

# The section of CHANGELOG.md for this version, or "Unreleased" if it has none yet.
notes() {
	awk -v name="## $1" 'index($0, "## ") == 1 {on = index($0 " ", name " ") == 1; next} on' CHANGELOG.md
}
section=${version%%-*}
[ -n "$(notes "$section")" ] || section=Unreleased
[ -n "$(notes "$section")" ] || { echo "release.sh: CHANGELOG.md has no section $version" >&2 && exit 1; }
{
	printf '# kube-dns %s\n' "$version"
	notes "$section"
} >"$out/RELEASE_NOTES.md"

tools=$(./hack/tools.sh release)
kubectl=${KUBECTL:-$(./hack/kube-binaries.sh kubectl)/kubectl}

echo "release.sh: programs and images" >&2
# shellcheck disable=SC2086 # one argument for each architecture
VERSION=$version ./hack/images.sh "$version" $arches >&2
for arch in $arches; do
	for name in kubedns dnscache exechealthz; do
		cp "dist/bin-$arch/$name" "$out/$name-linux-$arch"
		cp "dist/$name-$arch.tar" "$out/$name-image-$arch.tar"
		"$tools/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "$version" \
			-output "$out/$name-linux-$arch.cdx.json" "$out/$name-linux-$arch" 2>/dev/null
	done
done

echo "release.sh: manifests and chart" >&2
images() { sed -E "s#^( *image: )(kubedns|dnscache|exechealthz):latest\$#\1$prefix\2:$version#"; }
KUBECTL=$kubectl ./hack/render.sh | images >"$out/kube-dns.yaml"
for overlay in manifests/overlays/*/; do
	"$kubectl" kustomize "$overlay" | images >"$out/kube-dns-$(basename "$overlay").yaml"
done
chart=dist/release/.chart-$version
rm -rf "$chart"
mkdir -p "$chart"
cp -RL manifests/chart "$chart/kube-dns"
sed -i -e "s/^version: .*/version: ${version#v}/" -e "s/^appVersion: .*/appVersion: $version/" "$chart/kube-dns/Chart.yaml"
[ -z "$prefix" ] || sed -i -E "s#(repository: )(kubedns|dnscache|exechealthz)#\1$prefix\2#" "$chart/kube-dns/values.yaml"
"$tools/helm" lint --strict --quiet "$chart/kube-dns" >&2
# Not "helm package": it writes the time of day into the archive.
(cd "$chart" && tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - kube-dns) |
	gzip -n -9 >"$out/kube-dns-${version#v}.tgz"
rm -rf "$chart"

# The provenance names the commit and the compiler, and holds the digest of each file.
sums() { (cd "$out" && find . -type f ! -name SHA256SUMS ! -name provenance.json | sed 's#^\./##' | sort | xargs sha256sum); }
{
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":['
	sums | awk '{printf "%s{\"name\":\"%s\",\"digest\":{\"sha256\":\"%s\"}}", sep, $2, $1; sep = ","}'
	printf '],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{'
	printf '"buildType":"https://github.com/kube-dns/kube-dns/blob/%s/hack/release.sh",' "$commit"
	printf '"externalParameters":{"version":"%s","architectures":"%s","registry":"%s"},' "$version" "$arches" "${REGISTRY:-}"
	printf '"resolvedDependencies":[{"uri":"git+https://github.com/kube-dns/kube-dns","digest":{"gitCommit":"%s"}},' "$commit"
	printf '{"name":"go","annotations":{"version":"%s"}},' "$(go env GOVERSION)"
	printf '{"uri":"go.sum","digest":{"sha256":"%s"}}]},' "$(sha256sum go.sum | cut -d' ' -f1)"
	printf '"runDetails":{"builder":{"id":"https://github.com/kube-dns/kube-dns/blob/%s/hack/release.sh"}}}}\n' "$commit"
} >"$out/provenance.json"
all=$(cd "$out" && find . -type f | sed "s#^\./##" | sort | xargs sha256sum)
printf "%s\n" "$all" >"$out/SHA256SUMS"
echo "release.sh: $(find "$out" -type f | wc -l) files in $out, commit $commit; check them with: cd $out && sha256sum -c SHA256SUMS" >&2
