//go:build !unix

package main

import (
	"errors"
	"time"
)

// cpuTime exists where getrusage(2) does.
func cpuTime() (user, system time.Duration, err error) {
	return 0, 0, errors.New("the processor time of a process is measured on Unix systems only")
}
