package lab

import (
	"os"
	"strings"
	"testing"
)

// The labs themselves need root, and are built by `make lab`; here are the parts
// that need nothing.

func TestRules(t *testing.T) {
	lossy := Path{LossUp: 0.1, LossDown: 0.005, MaxLen: 1280, BlackHole: true}
	for _, test := range []struct {
		host      Host
		path      Path
		has, lack []string
	}{
		{Client, lossy, []string{"counter datagrams", "@flows { udp sport"}, []string{"numgen", "icmp"}},
		{Server, lossy, []string{"counter datagrams", "@flows { udp dport"}, []string{"numgen", "icmp"}},
		{R1, Path{Police: 4}, []string{"udp sport limit rate over 200/second burst 4 packets } drop", "udp dport limit rate over 200/second burst 4 packets } drop"}, []string{"numgen"}},
		{R1, lossy, []string{"mod 10000 < 1000 drop", "mod 10000 < 50 drop", "length > 1280 drop", "code 4 drop", "packet-too-big drop"}, nil},
		{R2, lossy, []string{"code 4 drop", "packet-too-big drop"}, []string{"numgen", "length"}},
		{R1, Path{}, []string{"chain forward"}, []string{"numgen", "length", "icmp", "limit"}},
		{R2, Path{}, nil, []string{"drop", "counter"}},
	} {
		text := rules(test.host, test.path)
		for _, s := range test.has {
			if !strings.Contains(text, s) {
				t.Errorf("%s, %+v: no %q in\n%s", test.host, test.path, s, text)
			}
		}
		for _, s := range test.lack {
			if strings.Contains(text, s) {
				t.Errorf("%s, %+v: %q in\n%s", test.host, test.path, s, text)
			}
		}
	}
	up, down, ok := strings.Cut(rules(R1, Path{LossUp: 0.3}), "chain down")
	if !ok || !strings.Contains(up, "numgen") || strings.Contains(down, "numgen") {
		t.Errorf("loss up, in\n%s\nand down\n%s", up, down)
	}
}

func TestPathCheck(t *testing.T) {
	for _, p := range []Path{{MTU: 67}, {MTU: 1501}, {LossUp: 1.1}, {LossDown: -0.1}, {MaxLen: -1}, {Police: -1}, {Police: 1001}} {
		if p.check() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
	var p Path
	if err := p.check(); err != nil || p.MTU != 1500 {
		t.Errorf("the zero path: %+v, %v", p, err)
	}
}

func TestNamesTellTheOwner(t *testing.T) {
	l := Lab{prefix: namePrefix(os.Getpid()) + "7-"}
	for name, want := range map[string]int{
		l.namespace(Server): os.Getpid(), "fplab-12-1-r1": 12, "fplab-x-1-r1": 0, "fplab-": 0, "blue": 0, "": 0,
	} {
		if got := ownerOf(name); got != want {
			t.Errorf("%q belongs to %d, want %d", name, got, want)
		}
	}
	if !alive(os.Getpid()) {
		t.Error("this process is taken for dead: its labs would be swept away")
	}
}

func TestParseFlows(t *testing.T) {
	const out = `{"nftables": [{"metainfo": {"json_schema_version": 1}}, {"set": {"family": "inet", "name": "flows", "table": "lab", "type": "inet_service", "handle": 2, "size": 65535, "flags": ["dynamic"], "elem": [{"elem": {"val": 40000, "counter": {"packets": 3, "bytes": 300}}}, {"elem": {"val": 40001, "counter": {"packets": 7, "bytes": 700}}}], "stmt": [{"counter": null}]}}]}`
	if flows, err := parseFlows(out); err != nil || len(flows) != 2 || flows[40000] != 3 || flows[40001] != 7 {
		t.Errorf("%v, %v", flows, err)
	}
	const none = `{"nftables": [{"set": {"name": "flows"}}]}`
	if flows, err := parseFlows(none); err != nil || len(flows) != 0 {
		t.Errorf("%v, %v", flows, err)
	}
	for _, bad := range []string{"", "{}", `{"nftables": [{"metainfo": {}}]}`, `{"nftables": [{"set": {"elem": [{"elem": {"val": 1}}]}}]}`} {
		if _, err := parseFlows(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseCounter(t *testing.T) {
	const out = `{"nftables": [{"metainfo": {"json_schema_version": 1}}, {"counter": {"family": "inet", "name": "fragments", "table": "lab", "handle": 4, "packets": 17, "bytes": 9000}}]}`
	if n, err := parseCounter(out); n != 17 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "{}", `{"nftables": [{"metainfo": {}}]}`} {
		if _, err := parseCounter(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
