package pages

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxProfile is the longest time that a profile may take.
const maxProfile = 10 * time.Minute

// handleProfiles serves the profiles of runtime/pprof below /debug/pprof/. Paths and parameters
// are those of net/http/pprof that "go tool pprof" and "go tool trace" use. That package is not
// used, because it would add a parser for profiles to the program.
func handleProfiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		names := []string{"cmdline", "profile?seconds=30", "trace?seconds=1"}
		for _, p := range pprof.Profiles() {
			names = append(names, p.Name()+"?debug=1")
		}
		slices.Sort(names)
		fmt.Fprintf(w, "%s\n", strings.Join(names, "\n"))
	})
	mux.HandleFunc("/debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, strings.Join(os.Args, "\x00"))
	})
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		record(w, r, 30, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	})
	mux.HandleFunc("/debug/pprof/trace", func(w http.ResponseWriter, r *http.Request) {
		record(w, r, 1, func() error { return trace.Start(w) }, trace.Stop)
	})
	mux.HandleFunc("/debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.Error(w, "there is no such profile", http.StatusNotFound)
			return
		}
		if p.Name() == "heap" && r.FormValue("gc") == "1" {
			runtime.GC()
		}
		debug, _ := strconv.Atoi(r.FormValue("debug")) // 0 unless it is a number
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if debug == 0 {
			attach(w, p.Name())
		}
		_ = p.WriteTo(w, debug) // the client may have closed the connection
	})
}

// attach sets the headers of a file to download.
func attach(w http.ResponseWriter, name string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// record records from start to stop: for the number of seconds in the parameter seconds, or
// usual without it, at most maxProfile, or until the client closes the connection.
func record(w http.ResponseWriter, r *http.Request, usual float64, start func() error, stop func()) {
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || seconds <= 0 {
		seconds = usual
	}
	attach(w, "profile")
	if err := start(); err != nil { // another one is being recorded
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Del("Content-Disposition")
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer stop()
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(min(seconds, maxProfile.Seconds())*float64(time.Second)))
	defer cancel()
	<-ctx.Done()
}
