// The image command packs a static binary into an image archive, without a daemon or a
// network. The archive is both an OCI layout and a docker-archive, so that containerd
// (`ctr images import`) and Docker (`docker load`) can load it. The same input gives the
// same bytes.
//
//	image -name kubedns:v1 -arch amd64 -user 1001:1001 -max 20000000 -o kubedns.tar bin/kubedns [NAME=FILE...]
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

type options struct {
	name, arch, user, out string
	// maxBytes is the most that the files may have together; 0 is no bound.
	maxBytes int
	files    []string
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "", "name and tag of the image")
	flag.StringVar(&o.arch, "arch", "amd64", "architecture that the binary was built for")
	flag.StringVar(&o.user, "user", "", "uid:gid that the image runs as (default: root)")
	flag.IntVar(&o.maxBytes, "max", 0, "most `bytes` that the files may have together (default: no bound)")
	flag.StringVar(&o.out, "o", "", "archive to write")
	flag.Parse()
	o.files = flag.Args()
	if o.name == "" || o.out == "" || len(o.files) == 0 {
		fmt.Fprintln(os.Stderr, "usage: image -name NAME:TAG -o FILE [-arch ARCH] [-user UID:GID] [-max BYTES] BINARY [NAME=FILE...]")
		os.Exit(2)
	}
	if err := build(o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// build writes the archive. The first file is the entry point.
func build(o options) error {
	// containerd takes the name in an OCI layout as it stands, and the kubelet
	// asks it for names in their full form.
	full, err := reference.ParseDockerRef(o.name)
	if err != nil {
		return fmt.Errorf("-name %s: %w", o.name, err)
	}
	created, err := epoch()
	if err != nil {
		return err
	}
	data, entry, err := layerTar(o.files, created)
	if err != nil {
		return err
	}
	if size, err := sizeOf(o.files); err != nil || o.maxBytes > 0 && size > o.maxBytes {
		return errors.Join(err, fmt.Errorf("%s has %d bytes, its budget is %d", o.name, size, o.maxBytes))
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	img, err = mutate.ConfigFile(img, config(img, o, entry, created))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = path.AppendImage(img, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          full.String(),
		"org.opencontainers.image.ref.name": o.name[strings.LastIndexByte(o.name, ':')+1:],
	}), layout.WithPlatform(v1.Platform{OS: "linux", Architecture: o.arch}))
	if err != nil {
		return err
	}
	if err := dockerManifest(dir, img, o.name); err != nil {
		return err
	}
	return pack(dir, o.out, created)
}

// epoch is the time that everything inside carries: SOURCE_DATE_EPOCH, or the
// beginning of time.
func epoch() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: %w", text, err)
	}
	return time.Unix(n, 0).UTC(), nil
}

func config(img v1.Image, o options, entry string, created time.Time) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		c = &v1.ConfigFile{}
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", o.arch, v1.Time{Time: created}
	c.Config.Entrypoint, c.Config.User, c.Config.WorkingDir = []string{entry}, o.user, "/"
	for i := range c.History {
		c.History[i] = v1.History{Created: v1.Time{Time: created}, CreatedBy: "COPY " + strings.Join(o.files, " ")}
	}
	return c
}

// sizeOf adds up the files' bytes: what the image takes on a node.
func sizeOf(files []string) (int, error) {
	sum := 0
	for _, f := range files {
		_, path, found := strings.Cut(f, "=")
		if !found {
			path = f
		}
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		sum += int(info.Size())
	}
	return sum, nil
}

// layerTar puts the files into one layer: NAME=FILE under NAME, FILE under its
// base name.
func layerTar(files []string, created time.Time) (data []byte, entry string, err error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i, f := range files {
		name, path, found := strings.Cut(f, "=")
		if !found {
			name, path = filepath.Base(f), f
		}
		name = strings.TrimPrefix(name, "/")
		if i == 0 {
			entry = "/" + name
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: created, Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return nil, "", err
		}
		if _, err := w.Write(content); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), entry, nil
}

// dockerManifest adds what `docker load` reads, pointing at the same blobs.
func dockerManifest(dir string, img v1.Image, name string) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	var layers []string
	for _, l := range m.Layers {
		layers = append(layers, blob(l.Digest))
	}
	data, err := json.Marshal([]map[string]any{{
		"Config": blob(m.Config.Digest), "RepoTags": []string{name}, "Layers": layers,
	}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), data, 0o644)
}

// pack writes dir as a tar in name order, complete or not at all.
func pack(dir, out string, created time.Time) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(out), ".image-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(tmp.Name()))) }()
	w := tar.NewWriter(tmp)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content)), ModTime: created, Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err := errors.Join(err, w.Close(), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), out)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
