// Package version describes the build that is running. Use [String] for the release,
// [Get] for everything that is known, and [Info.Line] for what --version prints.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// version is the release, set at link time with
// -ldflags "-X github.com/kube-dns/kube-dns/pkg/version.version=v1.2.3".
// It is the only variable that the linker writes.
var version string

// unreleased is what String returns if the linker set no version.
const unreleased = "devel"

// String returns the release, such as "v1.2.3", or "devel" if the build was given
// none. It contains no blanks.
func String() string {
	if v := strings.Join(strings.Fields(version), "-"); v != "" {
		return v
	}
	return unreleased
}

// Info describes a build. Fields for which the build has no value are empty.
type Info struct {
	// Version is what String returns.
	Version string
	// Commit is the full revision of the source, with "-dirty" appended if
	// the work tree had uncommitted changes. Builds with -buildvcs=false have none.
	Commit string
	// GoVersion is the version of the toolchain, such as "go1.26.0".
	GoVersion string
	// Platform is GOOS/GOARCH.
	Platform string
}

// Get returns the description of the running program.
func Get() Info {
	info := Info{
		Version:   String(),
		GoVersion: runtime.Version(),
		Platform:  runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		info.Commit = commit(build.Settings)
	}
	return info
}

// commit picks the revision out of the settings that the go command recorded.
func commit(settings []debug.BuildSetting) string {
	var revision, dirty string
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}

// Line returns the one line that a program prints for --version, without a
// newline: "kubedns v1.2.3 (commit 0123abc, go1.26.0, linux/amd64)".
func (i Info) Line(program string) string {
	parts := make([]string, 0, 3)
	if i.Commit != "" {
		parts = append(parts, "commit "+i.Commit)
	}
	for _, p := range []string{i.GoVersion, i.Platform} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	line := program + " " + i.Version
	if len(parts) > 0 {
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	return line
}
