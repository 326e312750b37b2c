package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNobodySkipsVerification: no code of ours turns the verification of
// certificates off.
func TestNobodySkipsVerification(t *testing.T) {
	word := "Insecure" + "SkipVerify"
	files := 0
	for _, dir := range []string{"cmd", "pkg"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			files++
			data, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(data), word) {
				t.Errorf("%s has %s", path, word)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}
