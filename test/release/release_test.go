// Package release makes a release twice, in two folders, and checks its content.
package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/test/addon"
)

const version = "v9.8.7-rc.1"

// checkout copies the working tree, including uncommitted changes, into a new repository. Its
// commit depends only on the content.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := run(t, addon.Root(), nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		source, target := filepath.Join(addon.Root(), name), filepath.Join(dir, name)
		info, err := os.Lstat(source)
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(source)
			if err == nil {
				err = os.Symlink(to, target)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	who := []string{
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z",
		"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.com", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z",
	}
	run(t, dir, nil, "git", "init", "-q", "-b", "main")
	run(t, dir, nil, "git", "add", "-A", "-f")
	run(t, dir, who, "git", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "all")
	return dir
}

func run(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, &stderr)
	}
	return out
}

// release returns the content of each file of a release for this machine's
// architecture.
func release(t *testing.T) (folder string, files map[string][]byte) {
	t.Helper()
	dir := checkout(t)
	run(t, dir, []string{"ARCHES=" + runtime.GOARCH, "REGISTRY=images.example/dns/"}, "./hack/release.sh", version)
	folder = filepath.Join(dir, "dist/release", version)
	files = map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[d.Name()], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folder, files
}

func TestRelease(t *testing.T) {
	folder, files := release(t)
	t.Run("twice", func(t *testing.T) {
		_, again := release(t)
		for name, content := range files {
			if !bytes.Equal(content, again[name]) {
				t.Errorf("%s differs between two builds of one commit", name)
			}
		}
		if len(files) != len(again) {
			t.Errorf("%d files, then %d", len(files), len(again))
		}
	})
	t.Run("checksums", func(t *testing.T) { checkSums(t, files) })
	t.Run("programs", func(t *testing.T) { checkPrograms(t, folder, files) })
	t.Run("manifests", func(t *testing.T) { checkManifests(t, folder, files) })
	if notes := string(files["RELEASE_NOTES.md"]); !strings.HasPrefix(notes, "# kube-dns "+version+"\n") || !strings.Contains(notes, "### ") {
		t.Errorf("release notes: %q", notes)
	}
}

// Every file has its checksum, and its digest in the provenance.
func checkSums(t *testing.T, files map[string][]byte) {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(string(files["SHA256SUMS"])) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	var provenance struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		PredicateType string
		Predicate     struct {
			BuildDefinition struct {
				ExternalParameters   map[string]string
				ResolvedDependencies []struct{ Digest map[string]string }
			}
		}
	}
	if err := json.Unmarshal(files["provenance.json"], &provenance); err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, s := range provenance.Subject {
		digests[s.Name] = s.Digest["sha256"]
	}
	for name, content := range files {
		sum := sha256.Sum256(content)
		want := hex.EncodeToString(sum[:])
		if name != "SHA256SUMS" && sums[name] != want {
			t.Errorf("SHA256SUMS says %q for %s, want %s", sums[name], name, want)
		}
		if name != "SHA256SUMS" && name != "provenance.json" && digests[name] != want {
			t.Errorf("the provenance says %q for %s, want %s", digests[name], name, want)
		}
	}
	definition := provenance.Predicate.BuildDefinition
	if definition.ExternalParameters["version"] != version || len(definition.ResolvedDependencies[0].Digest["gitCommit"]) != 40 {
		t.Errorf("provenance: %+v", definition)
	}
}

// The programs know their version, and each has its bill of materials.
func checkPrograms(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	for program, module := range map[string]string{
		"kubedns": "k8s.io/client-go", "dnscache": "github.com/prometheus/client_golang", "exechealthz": "github.com/prometheus/client_golang",
	} {
		name := program + "-linux-" + runtime.GOARCH
		if out := run(t, folder, nil, "./"+name, "--version"); !strings.Contains(string(out), version) {
			t.Errorf("%s --version: %s", name, out)
		}
		var bom struct {
			BomFormat  string
			Metadata   struct{ Component struct{ Version string } }
			Components []struct{ Name string }
		}
		if err := json.Unmarshal(files[name+".cdx.json"], &bom); err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(bom.Components, func(c struct{ Name string }) bool { return c.Name == module })
		if bom.BomFormat != "CycloneDX" || bom.Metadata.Component.Version != version || !has {
			t.Errorf("bill of materials of %s: format %q, version %q, names %s: %v", name, bom.BomFormat, bom.Metadata.Component.Version, module, has)
		}
		if files[program+"-image-"+runtime.GOARCH+".tar"] == nil {
			t.Errorf("no image archive of %s", program)
		}
	}
}

// Every manifest, and what the chart renders, names the images of this version.
func checkManifests(t *testing.T, folder string, files map[string][]byte) {
	t.Helper()
	tools := strings.TrimSpace(string(run(t, addon.Root(), nil, "./hack/tools.sh", "release")))
	archive := "kube-dns-" + strings.TrimPrefix(version, "v") + ".tgz"
	chart := run(t, folder, nil, filepath.Join(tools, "helm"), "template", "kube-dns", archive, "--namespace", "kube-system", "--kube-version", "v1.34.0")
	rendered := map[string][]byte{"the chart": chart}
	for name, content := range files {
		if filepath.Ext(name) == ".yaml" {
			rendered[name] = content
		}
	}
	overlays, err := os.ReadDir(filepath.Join(addon.Root(), "manifests/overlays"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rendered) != len(overlays)+2 {
		t.Errorf("%d manifests, want the base, the chart and one for each of %d overlays", len(rendered), len(overlays))
	}
	for name, content := range rendered {
		for _, image := range []string{"kubedns", "dnscache", "exechealthz"} {
			if !bytes.Contains(content, []byte("image: images.example/dns/"+image+":"+version+"\n")) {
				t.Errorf("%s does not name the image of %s", name, image)
			}
		}
		if bytes.Contains(content, []byte(":latest")) {
			t.Errorf("%s names an image without version", name)
		}
	}
}

// A state that cannot become a release is refused before anything is built.
func TestReleaseRefuses(t *testing.T) {
	dir := checkout(t)
	refused := func(version, want string) {
		t.Helper()
		cmd := exec.Command("./hack/release.sh", version)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("release.sh %q: %v: %s; want %q", version, err, out, want)
		}
	}
	refused("", "invalid version")
	refused("1.2.3", "invalid version")
	refused("v1.2", "invalid version")
	refused("v1.2.3; true", "invalid version")
	run(t, dir, nil, "git", "tag", "v1.0.0")
	run(t, dir, []string{"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com"},
		"git", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "next")
	refused("v1.0.0", "the tag v1.0.0 is another commit")
	if err := os.WriteFile(filepath.Join(dir, "stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(version, "commit or remove these changes")
}

// Versions that Helm, an image tag or a label would refuse later are refused at once.
func TestRefusesVersions(t *testing.T) {
	for _, v := range []string{
		"", "1.2.3", "v1.2", "v1.2.3.4", "latest", "V1.2.3", "v01.2.3", "v1.2.3-", "v1.2.3-rc..1", "v1.2.3-rc.01", "v1.2.3-rc_1",
		"v1.2.3+build", "v1.2.3 ", "v1.2.3\nv1.2.4", "v1.2.3;x", "../v1.2.3", "v1.2.3-" + strings.Repeat("a", 50),
	} {
		cmd := exec.Command(filepath.Join(addon.Root(), "hack/release.sh"), v)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "invalid version: \""+v+"\"") {
			t.Errorf("%q: %v: %s", v, err, out)
		}
	}
}
