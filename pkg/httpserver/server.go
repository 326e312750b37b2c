package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of every server.
const (
	defaultMaxConns     = 512
	defaultWriteTimeout = 10 * time.Second
	headerTimeout       = 3 * time.Second
	idleTimeout         = time.Minute
	maxHeaderBytes      = 8 << 10
)

// Config configures Serve. Every field except Handler has a default, which the zero value stands
// for.
type Config struct {
	// Handler answers requests, none of which has a body. It must not be nil.
	Handler http.Handler
	// Logger receives errors of connections, at level debug. Nil discards them.
	Logger *slog.Logger
	// MaxConns is the largest number of connections served at a time. Default: 512.
	MaxConns int
	// WriteTimeout is the longest time from the end of a request's header to the end of its
	// response; negative means no limit. Default: 10 s.
	WriteTimeout time.Duration
	// Grace is how long requests in progress may take after ctx has ended; 0
	// ends them at once.
	Grace time.Duration
}

// connKey is the key of the *gateConn in a request's context.
type connKey struct{}

// Serve serves cfg.Handler on l until ctx ends, and closes l. It returns nil if ctx has ended, and
// otherwise an error that names the address.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = defaultMaxConns
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := newGate(l, cfg.MaxConns)
	server := &http.Server{
		Handler:           g.handler(cfg.Handler),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      max(cmp.Or(cfg.WriteTimeout, defaultWriteTimeout), 0),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         g.changed,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	go g.run()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		// ctx has ended; its values are not needed.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Grace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // closes the connections that took longer than Grace
		}
	})
	err := server.Serve(g)
	if !stop() {
		<-ended
	}
	_ = g.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil // ctx has ended
	}
	return fmt.Errorf("serving HTTP on %v: %w", l.Addr(), err)
}

// handler returns a handler that refuses requests with a body and passes others to next.
func (g *gate) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*gateConn); ok {
			g.enter(c, http.StateActive)
			defer g.enter(c, stateDone)
		}
		if r.ContentLength != 0 {
			// The connection must be closed, because the body follows.
			w.Header().Set("Connection", "close")
			http.Error(w, "request bodies are not accepted", http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}
