//go:build !linux

package browser

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(*testing.M) {
	fmt.Fprintln(os.Stderr, "FAIL: the tests with browsers need the network namespaces of Linux")
	os.Exit(1)
}
