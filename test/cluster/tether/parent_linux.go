package main

import (
	"errors"
	"os"
	"syscall"
)

// dieWithParent makes the kernel kill this process when its parent ends. The
// request outlives exec.
func dieWithParent() error {
	parent := os.Getppid()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0); errno != 0 {
		return errno
	}
	if os.Getppid() != parent { // it ended before the request, which thus never fires
		return errors.New("the parent has already ended")
	}
	return nil
}
