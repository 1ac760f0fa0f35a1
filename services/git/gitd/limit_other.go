//go:build !linux

package gitd

// limitProcess does nothing: other systems let a process limit only itself, and git's own limits remain.
func limitProcess(int, Limits) {}
