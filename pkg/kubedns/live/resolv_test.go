package live

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a resolv.conf contains, it leads to few log messages, none of them long.
func TestOddResolvConfIsLoggedBriefly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := strings.Repeat("nameserver "+strings.Repeat("x", 5000)+"\n", 100) + "nameserver 192.0.2.1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	servers := systemServers(path, slog.New(slog.NewTextHandler(&log, nil)))
	if len(servers) != 1 || servers[0].Addr.String() != "192.0.2.1:53" {
		t.Errorf("servers %v", servers)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != maxSkipped+1 || !strings.Contains(lines[maxSkipped], "suppressed=90") {
		t.Errorf("%d lines, the last one %s", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines {
		if len(line) > 600 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}
