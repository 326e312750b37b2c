package prober_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/prober"
)

func ExampleRules_Judge() {
	rules := prober.Rules{Path: "/healthz", Latency: 30 * time.Second}
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := prober.CheckResult{Output: "no answer", End: end, Err: errors.New("exit status 1")}

	fmt.Println(rules.Judge(prober.CheckResult{}, end).Code)
	fmt.Println(rules.Judge(prober.CheckResult{End: end}, end.Add(time.Second)).Body)
	fmt.Print(rules.Judge(last, end).Body)
	// Output:
	// 503
	// ok
	// Healthz probe on /healthz error: Result of last exec: no answer, at 2026-01-02 03:04:05 +0000 UTC, error exit status 1
}
