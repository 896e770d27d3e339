package dissect

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// frame is what Wireshark says of a packet; see dissect.cjs.
type frame struct {
	Port   uint16
	Info   string
	Doubts []string
}

const (
	wiregasm = "@goodtools/wiregasm"
	script   = "../peers/node/dissect.cjs" // seen from this directory
)

// capture is what Wireshark reads.
type capture struct {
	packets []packet
	keys    []byte // key log
}

// dissect has Wireshark read captures, all by one process: to load it takes most
// of the time.
func dissect(t testing.TB, captures []capture) [][]frame {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "flightpath-peers", "node", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, wiregasm)); err != nil {
		t.Fatalf("the npm module %s is missing: run scripts/peers.sh (make peers): %v", wiregasm, err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: install the Debian package nodejs (make peers)")
	}
	dir := t.TempDir()
	args := []string{script}
	for i, c := range captures {
		for name, content := range map[string][]byte{".pcap": appendPcap(nil, c.packets), ".keys": c.keys} {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, filepath.Join(dir, strconv.Itoa(i)+".pcap"), filepath.Join(dir, strconv.Itoa(i)+".keys"))
	}
	var complaints bytes.Buffer
	cmd := exec.Command(node, args...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %v: %v\n%s", args, err, &complaints)
	}
	var all [][]frame
	for in := json.NewDecoder(bytes.NewReader(out)); in.More(); {
		var frames []frame
		if err := in.Decode(&frames); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, &complaints)
		}
		all = append(all, frames)
	}
	if len(all) != len(captures) {
		t.Fatalf("Wireshark has read %d captures of %d\n%s", len(all), len(captures), &complaints)
	}
	return all
}
