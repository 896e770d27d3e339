package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Namespaces are called fplab-<pid>-<number>-<host>: unique per process, and
// whoever finds one can see whether its owner is still there.
const nameStart = "fplab-"

func namePrefix(pid int) string { return nameStart + strconv.Itoa(pid) + "-" }

// ownerOf is the process that made a namespace, 0 if it is not one of ours.
func ownerOf(namespace string) int {
	rest, ours := strings.CutPrefix(namespace, nameStart)
	if !ours {
		return 0
	}
	pid, _, _ := strings.Cut(rest, "-")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return 0
	}
	return n
}

// available says what is missing to build labs, nil if nothing is.
func available() error {
	if runtime.GOOS != "linux" {
		return errors.New("lab: network namespaces are of Linux only")
	}
	if os.Geteuid() != 0 {
		return errors.New("lab: network namespaces need root")
	}
	for program, from := range map[string]string{"ip": "iproute2", "nft": "nftables"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("lab: no %s: install %s", program, from)
		}
	}
	return nil
}

// sweep takes away what dead processes left behind.
func sweep(ctx context.Context) {
	for _, name := range namespaces(ctx) {
		if pid := ownerOf(name); pid > 0 && !alive(pid) {
			_ = remove(name)
		}
	}
}

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// namespaces lists all of the machine.
func namespaces(ctx context.Context) (names []string) {
	out, err := output(ctx, "", "ip", "netns", "list")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	return names
}

// remove takes away all namespaces with that prefix and ends what runs in them.
// It works after the caller's context has ended.
func remove(prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, name := range namespaces(ctx) {
		if strings.HasPrefix(name, prefix) {
			errs = append(errs, end(ctx, name), run(ctx, "", "ip", "netns", "delete", name))
		}
	}
	return errors.Join(errs...)
}

// end kills the processes inside a namespace. They were started by Command.
func end(ctx context.Context, namespace string) error {
	out, err := output(ctx, "", "ip", "netns", "pids", namespace)
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(out) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		if p, err := os.FindProcess(n); err == nil {
			_ = p.Kill()
		}
	}
	return nil
}
