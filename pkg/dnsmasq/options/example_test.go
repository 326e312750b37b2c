package options_test

import (
	"fmt"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

func ExampleParse() {
	args := []string{"-k", "--cache-s=1000", "--server", "/cluster.local/127.0.0.1#10053"}
	options, err := options.Parse(args, options.NoFiles())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(options.Cache.Size, options.Upstream.Servers[0])
	// Output: 1000 /cluster.local/127.0.0.1#10053
}

func ExampleReport() {
	_, err := options.Parse([]string{"--port=70000", "--dhcp-range=10.0.0.1,10.0.0.9"}, options.NoFiles())
	text, exit := options.Report("dnscache", err)
	fmt.Print(text)
	fmt.Println("exit", exit)
	// Output:
	//
	// dnscache: bad command line options: try --help
	// dnscache: --port=70000: "70000" is not a port
	// dnscache: --dhcp-range: not supported: dnscache serves DNS only, not DHCP; remove the option
	// exit 1
}

func ExampleSplitNanny() {
	nanny, dnsmasq, found := options.SplitNanny([]string{"-restartDnsmasq=true", "--", "-k", "--no-resolv"})
	fmt.Println(nanny, dnsmasq, found)
	// Output: [-restartDnsmasq=true] [-k --no-resolv] true
}
