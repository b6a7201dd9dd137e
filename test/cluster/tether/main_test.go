//go:build linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tether")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func TestExitCodeIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "sh", "-c", "exit 7")
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("exit code %d (%v), want 7", cmd.ProcessState.ExitCode(), err)
	}
}

func TestProgramEndsWhenItsParentIsKilled(t *testing.T) {
	t.Parallel()
	// The parent tells the program's process id and is then killed.
	parent := exec.CommandContext(t.Context(), "sh", "-c", `"$0" sleep 600 & echo $!; wait`, build(t))
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the program runs", func() bool {
		name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
		return string(name) == "sleep\n"
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	until(t, "the program is gone", func() bool { return !lives(pid) })
	if lives(pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// lives is false for a zombie too, which only waits to be collected.
func lives(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("waited 5 s until %s", what)
}
