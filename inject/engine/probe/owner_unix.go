//go:build unix

package probe

import (
	"io/fs"
	"syscall"
)

// owner returns the user and group of a file.
func owner(info fs.FileInfo) (uid, gid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}
