// The golookup command looks a name up with Go's own resolver and prints its
// addresses, one a line, or "notfound", "again" or "failed".
//
//	golookup NAME [4|6]
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	network := "ip"
	if len(os.Args) > 2 {
		network += os.Args[2]
	}
	resolver := net.Resolver{PreferGo: true}
	addrs, err := resolver.LookupNetIP(context.Background(), network, os.Args[1])
	var dnsErr *net.DNSError
	switch {
	case err == nil:
		for _, a := range addrs {
			fmt.Println(a.Unmap())
		}
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		fmt.Println("notfound")
	case errors.As(err, &dnsErr) && (dnsErr.IsTemporary || dnsErr.IsTimeout):
		fmt.Println("again")
	default:
		fmt.Println("failed", err)
	}
}
