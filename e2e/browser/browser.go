//go:build linux

package browser

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A browser is how to start one without a window.
type browser struct {
	name    string
	program string // the Debian package has the same name

	// args makes ready an empty profile directory and returns the arguments
	// that open a page with it.
	args func(profile, url string) ([]string, error)
}

var chromium = browser{
	name:    "Chromium",
	program: "chromium",
	args: func(profile, url string) ([]string, error) {
		return []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
			"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
			"--disable-breakpad", "--user-data-dir=" + profile, url,
		}, nil
	},
}

var firefox = browser{
	name:    "Firefox",
	program: "firefox-esr",
	args: func(profile, url string) ([]string, error) {
		err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPrefs), 0o600)
		return []string{"--headless", "--no-remote", "--profile", profile, url}, err
	},
}

// firefoxPrefs keep Firefox from looking for anything but the page.
const firefoxPrefs = `
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.safebrowsing.downloads.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.healthreport.uploadEnabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
user_pref("toolkit.telemetry.unified", false);
`

const (
	// A browser starts in two seconds, or in thirty on a machine that has much
	// else to do.
	startTimeout = time.Minute
	starts       = 2

	stopTimeout = 5 * time.Second
)

// process is a running browser.
type process struct {
	cmd    *exec.Cmd
	stderr output
	ended  chan struct{}
	once   sync.Once // for stop
}

// open starts the browser on the stage's page until the test ends, and returns
// when the page has made its first offer. A browser that does not get that far
// is started once more.
func (b browser) open(t *testing.T, s *stage) *process {
	t.Helper()
	path, err := exec.LookPath(b.program)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package of that name (make peers)", b.program)
	}
	for i := range starts {
		p := b.start(t, path, s.url())
		select {
		case <-s.loaded:
			return p
		case <-p.ended:
			t.Logf("start %d of %s ended early:\n%s", i+1, b.name, &p.stderr)
		case <-time.After(startTimeout):
			p.stop(t)
			t.Logf("start %d of %s did not open the page in %v:\n%s", i+1, b.name, startTimeout, &p.stderr)
		}
	}
	t.Fatalf("%s does not start", b.name)
	return nil
}

func (b browser) start(t *testing.T, path, url string) *process {
	t.Helper()
	profile := t.TempDir()
	args, err := b.args(profile, url)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path, args...), stderr: output{limit: 4 << 10}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_RUNTIME_DIR="+profile)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second
	// A group of its own, which its many processes are ended by, and an end with
	// ours should that come before any clean-up.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	t.Cleanup(func() { p.stop(t) })
	return p
}

// stop ends the browser and all processes it has started, and waits for them:
// they may be at work in the profile. Where nobody collects the orphaned ones
// it does not wait for ever.
func (p *process) stop(t *testing.T) {
	p.once.Do(func() {
		group := -p.cmd.Process.Pid
		err := syscall.Kill(group, syscall.SIGKILL)
		<-p.ended
		for end := time.Now().Add(stopTimeout); err == nil && time.Now().Before(end); err = syscall.Kill(group, 0) {
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("stopping %s: %v", p.cmd.Path, err)
		}
	})
}

// output collects what somebody prints, while they print.
type output struct {
	limit int // bytes; of more the last ones are kept. 0: no limit

	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if o.limit > 0 {
		o.buf.Next(max(0, o.buf.Len()-o.limit))
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
