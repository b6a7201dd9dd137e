//go:build !linux

package main

// dieWithParent does nothing: only Linux can tie a process to its parent.
func dieWithParent() error { return nil }
