package integration

import (
	"fmt"
	"os"
	"testing"
)

// shared is what all tests use. TestMain sets it once, before the first.
var shared *environment

func TestMain(m *testing.M) {
	var err error
	if shared, err = startEnvironment(os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "integration tests need a real control plane and the server:\n%v\n", err)
		os.Exit(1)
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "logs are kept in", shared.dir)
	}
	if err := shared.stop(code != 0); err != nil {
		fmt.Fprintf(os.Stderr, "stop the environment: %v\n", err)
		code = 1
	}
	os.Exit(code)
}
