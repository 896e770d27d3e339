package browser

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// inNamespace marks the process that runs the tests.
const inNamespace = "FLIGHTPATH_BROWSER_NAMESPACE"

// TestMain runs the tests in a child of this process, which has a network
// namespace of its own: nothing the browsers or we send leaves it, and no set-up
// outlives it.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) != "" {
		if err := setUpNetwork(); err != nil {
			fail(err)
		}
		os.Exit(m.Run())
	}
	var ended *exec.ExitError
	switch err := runInNamespace(); {
	case errors.As(err, &ended) && ended.ExitCode() > 0:
		os.Exit(ended.ExitCode())
	case err != nil:
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "FAIL: the tests with browsers need a network namespace of their own:", err)
	os.Exit(1)
}

func runInNamespace() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		// Who is nobody special may do so as root of a user namespace.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w. Run as root with CAP_SYS_ADMIN and CAP_NET_ADMIN, or let users make user namespaces (sysctl user.max_user_namespaces)", err)
	}
	return err
}

// setUpNetwork gives the namespace what browsers look for before they gather a
// candidate: an interface that is not the loopback, with an address and a default
// route. What is sent between own addresses goes over lo.
func setUpNetwork() error {
	found, err := net.Interfaces()
	if err != nil {
		return err
	}
	if len(found) != 1 { // lo
		return fmt.Errorf("%s is set where there are %d interfaces: this is no new namespace", inNamespace, len(found))
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		if ip, err = exec.LookPath("/usr/sbin/ip"); err != nil { // not in everybody's PATH
			return errors.New("the command ip is missing: install the Debian package iproute2 (make peers)")
		}
	}
	for _, args := range []string{
		"link set lo up",
		"link add v0 type veth peer name v1",
		"addr add 10.99.0.1/24 dev v0",
		"link set v0 up",
		"link set v1 up",
		"route add default via 10.99.0.2 dev v0",
	} {
		if out, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}
