package mcs

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// The module that contains the CustomResourceDefinitions of the Multi-Cluster Services API.
// It is data for tests, not a dependency of the programs.
const (
	module    = "sigs.k8s.io/mcs-api@v0.5.0"
	moduleSum = "h1:UMgKuFFIRVEy4LR2LQovPnBkV9rgmZMT+sJO7MkaVj4="
)

// Definitions returns the folder with the API's CustomResourceDefinitions, one file for
// each, named for example multicluster.x-k8s.io_serviceimports.yaml. It downloads them
// if necessary. dir is an empty folder outside any module.
func Definitions(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w: %s", module, err, out)
	}
	var downloaded struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return "", fmt.Errorf("downloading %s: %w", module, err)
	}
	if downloaded.Sum != moduleSum {
		return "", fmt.Errorf("%s has the sum %s, want %s", module, downloaded.Sum, moduleSum)
	}
	return filepath.Join(downloaded.Dir, "config/crd"), nil
}
