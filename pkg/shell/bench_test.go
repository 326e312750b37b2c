package shell

import (
	"io"
	"testing"
)

// BenchmarkCheck is the cost of one run: with the nslookup in here, and with a
// process, which is what every check cost before.
func BenchmarkCheck(b *testing.B) {
	server := dnsServer(b)
	for name, command := range map[string]string{
		"nslookup": "nslookup kubernetes.default.svc.cluster.local " + server + " >/dev/null",
		"process":  "/bin/true",
		"echo":     "echo healthz",
	} {
		b.Run(name, func(b *testing.B) {
			file, err := Parse(command)
			if err != nil {
				b.Fatal(err)
			}
			sh := newShell()
			b.ReportAllocs()
			for b.Loop() {
				if err := sh.Run(b.Context(), file, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
