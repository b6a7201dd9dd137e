// Command app is what the tests run in Pods: it tells how it was run, and does what it is asked.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":8080", "")
	config := flag.String("config", "", "")
	secret := flag.String("secret", "", "")
	drain := flag.Duration("drain", 0, "")
	flag.String("name", "", "")
	flag.Parse()

	var unready, dead atomic.Bool
	check := func(no *atomic.Bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if no.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	}
	set := func(flag *atomic.Bool, value bool) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { flag.Store(value) }
	}
	http.HandleFunc("/ready", check(&unready))
	http.HandleFunc("/alive", check(&dead))
	http.HandleFunc("/do/unready", set(&unready, true))
	http.HandleFunc("/do/ready", set(&unready, false))
	http.HandleFunc("/do/die", set(&dead, true))
	http.HandleFunc("/do/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		configText, _ := os.ReadFile(*config)
		secretText, _ := os.ReadFile(*secret)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"args": os.Args[1:], "env": os.Environ(), "config": string(configText), "secret": string(secretText),
		})
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case <-failed:
		os.Exit(1)
	case <-ctx.Done():
	}
	unready.Store(true)
	time.Sleep(*drain)
	_ = server.Shutdown(context.Background())
}
