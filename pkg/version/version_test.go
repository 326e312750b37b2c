package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestStringFallsBackToDevel(t *testing.T) {
	for _, tt := range []struct{ name, set, want string }{
		{"unset", "", "devel"},
		{"release", "v1.2.3", "v1.2.3"},
		{"blanks cannot break a log line", " v1 2\n", "v1-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			saved := version
			t.Cleanup(func() { version = saved })
			version = tt.set
			if got := String(); got != tt.want {
				t.Errorf("String() with version %q = %q, want %q", tt.set, got, tt.want)
			}
		})
	}
}

func TestCommit(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	for _, tt := range []struct {
		name     string
		settings []debug.BuildSetting
		want     string
	}{
		{"none", nil, ""},
		{"clean", []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}, "0123abc"},
		{"dirty", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, revision}, "0123abc-dirty"},
		{"dirty without a revision", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := commit(tt.settings); got != tt.want {
				t.Errorf("commit(%v) = %q, want %q", tt.settings, got, tt.want)
			}
		})
	}
}

func TestLine(t *testing.T) {
	full := Info{Version: "v1.2.3", Commit: "0123abc", GoVersion: "go1.26.0", Platform: "linux/amd64"}
	if got, want := full.Line("kubedns"), "kubedns v1.2.3 (commit 0123abc, go1.26.0, linux/amd64)"; got != want {
		t.Errorf("Line = %q, want %q", got, want)
	}
	if got, want := (Info{Version: "devel"}).Line("dnscache"), "dnscache devel"; got != want {
		t.Errorf("Line of a bare build = %q, want %q", got, want)
	}
}

func TestGet(t *testing.T) {
	info := Get()
	if info.Version != String() {
		t.Errorf("Get().Version = %q, want %q", info.Version, String())
	}
	if info.GoVersion != runtime.Version() || info.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("Get() = %+v, want the running toolchain and platform", info)
	}
}
