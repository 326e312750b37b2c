package upstream

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs all parallel tests at a time: they wait for time-outs and hardly use a processor.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
