// The client command runs in the test cluster's Pods. Like programs in Pods, it sends
// its queries to the servers in the resolv.conf that the kubelet wrote.
//
//	client lookup NAME...             print addresses, using Go's resolver
//	client srv NAME...                print SRV targets and ports, using Go's resolver and the search list
//	client query NAME TYPE [udp|tcp]  send one query without the search list, and print the whole reply
//	client search NAME                try the search list, with A and AAAA at once on one socket, as musl does
//	client each COMMAND...            run several of the above, one per argument, each with a heading
//	client load INTERVAL NAME...      query without end; print failures, and totals every second
//	client storm INTERVAL SERVERS     query without waiting for answers; print what was lost at each server
//	client cat FILE                   print a file
//	client serve PORT                 serve the Pod's name over HTTP
//	client sleep                      wait for SIGTERM
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const resolvConf = "/etc/resolv.conf"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	switch cmd, rest := args[0], args[1:]; cmd {
	case "lookup":
		return lookup(ctx, rest)
	case "srv":
		return srv(ctx, rest)
	case "query":
		if len(rest) < 2 {
			return fmt.Errorf("query needs a name and a type")
		}
		network := "udp"
		if len(rest) > 2 {
			network = rest[2]
		}
		m, err := query(ctx, dns.Fqdn(rest[0]), rest[1], network)
		if err == nil {
			fmt.Println(m)
		}
		return err
	case "search":
		return search(ctx, rest)
	case "each":
		for _, line := range rest {
			fmt.Println("==", line)
			if err := run(ctx, strings.Fields(line)); err != nil {
				fmt.Println(err)
			}
		}
		return nil
	case "load":
		return load(ctx, rest)
	case "storm":
		return storm(ctx, rest)
	case "cat":
		if len(rest) != 1 {
			return fmt.Errorf("cat needs a file")
		}
		data, err := os.ReadFile(rest[0])
		fmt.Print(string(data))
		return err
	case "serve":
		return serve(ctx, rest)
	case "sleep":
		<-ctx.Done()
		return nil
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
}

func lookup(ctx context.Context, names []string) error {
	for _, name := range names {
		addrs, err := net.DefaultResolver.LookupHost(ctx, name)
		if err != nil {
			return err
		}
		fmt.Println(name, strings.Join(addrs, " "))
	}
	return nil
}

func srv(ctx context.Context, names []string) error {
	for _, name := range names {
		_, targets, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
		if err != nil {
			return err
		}
		for _, t := range targets {
			fmt.Println(name, t.Port, t.Target)
		}
	}
	return nil
}

func query(ctx context.Context, name, typ, network string) (*dns.Msg, error) {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, err
	}
	qtype, ok := dns.StringToType[typ]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", typ)
	}
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.SetEdns0(1232, false)
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := client.ExchangeContext(ctx, q, net.JoinHostPort(conf.Servers[0], conf.Port))
	return m, err
}

// load asks for every name once per interval, with one retry each, as clients do.
func load(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("load needs an interval and names")
	}
	interval, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	asked, retried, failed := 0, 0, 0
	tick, sums := time.NewTicker(interval), time.NewTicker(time.Second)
	defer tick.Stop()
	defer sums.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sums.C:
			fmt.Printf("asked=%d retried=%d failed=%d\n", asked, retried, failed)
			continue
		case <-tick.C:
		}
		for _, name := range args[1:] {
			asked++
			start := time.Now()
			var why string
			for try := range 2 {
				if why = askOnce(ctx, dns.Fqdn(name)); why == "" {
					break
				}
				if try == 0 {
					retried++
				}
			}
			if why != "" && ctx.Err() == nil {
				failed++
				fmt.Printf("%s failed %s after %v: %s\n", start.UTC().Format(time.RFC3339Nano), name, time.Since(start).Round(time.Millisecond), why)
			}
		}
	}
}

// askOnce returns why there was no address, or "" if there was one.
func askOnce(ctx context.Context, name string) string {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return err.Error()
	}
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	client := dns.Client{Timeout: 2 * time.Second}
	m, _, err := client.ExchangeContext(ctx, q, net.JoinHostPort(conf.Servers[0], conf.Port))
	switch {
	case err != nil:
		return err.Error()
	case m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0:
		return fmt.Sprintf("%s, %d answers", dns.RcodeToString[m.Rcode], len(m.Answer))
	}
	return ""
}

func serve(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("serve needs a port")
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	s := &http.Server{Addr: ":" + args[0], ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })}
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	if err := s.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
