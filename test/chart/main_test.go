package chart

import (
	"fmt"
	"os"
	"testing"
)

// shared is what all tests use. TestMain sets it once, before the first.
var shared *environment

func TestMain(m *testing.M) {
	e := &environment{}
	err := e.start(os.Stderr)
	code := 1
	if err == nil {
		shared = e
		code = m.Run()
	} else {
		fmt.Fprintf(os.Stderr, "the chart's tests need a real control plane, cert-manager and Helm:\n%v\n", err)
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "logs are kept in", e.dir)
	}
	if err := e.stop(code != 0); err != nil {
		fmt.Fprintf(os.Stderr, "stop the environment: %v\n", err)
		code = 1
	}
	os.Exit(code)
}
