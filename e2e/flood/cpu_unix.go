//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used, in the program and in the kernel.
func cpuTime() (user, system time.Duration, err error) {
	var u syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano()), err
}
