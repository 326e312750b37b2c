// The outside command is the test cluster's upstream resolver, which the node's
// resolv.conf names.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/kube-dns/kube-dns/test/outside"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve DNS on")
	flag.Parse()
	addr, stop, err := outside.Serve(*listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("serving on ", addr)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
	stop()
}
