package cluster

import "syscall"

// endWithParent interrupts a child when this process is killed, so that no
// build goes on for nobody, in a folder that the next one uses.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
}
