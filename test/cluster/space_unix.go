//go:build linux || darwin || freebsd

package cluster

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeGiB returns the space that a user may still fill on the disk of a folder,
// which need not exist yet, in GiB, and whether it could be found out.
func freeGiB(dir string) (float64, bool) {
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0, false
		}
		dir = parent
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return float64(stat.Bavail) * float64(stat.Bsize) / (1 << 30), true
}
