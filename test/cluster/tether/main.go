// Command tether runs a program that ends when its parent ends.
//
//	tether PROGRAM [ARGUMENT...]
//
// It asks the kernel to kill it together with its parent and then becomes the
// program, so that the program keeps its process id, its signals and its exit
// code. A test that is killed thus leaves no etcd or kube-apiserver behind. On
// systems without such a request the program simply runs.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "error: usage: tether PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	// The request belongs to the thread that makes it: exec must follow on
	// the same one.
	runtime.LockOSThread()
	if err := run(os.Args[1], os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(program string, argv []string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("find program: %w", err)
	}
	if err := dieWithParent(); err != nil {
		return fmt.Errorf("tie to the parent process: %w", err)
	}
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("run %q: %w", path, err)
	}
	return nil
}
