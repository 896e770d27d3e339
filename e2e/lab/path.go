package lab

import (
	"fmt"
	"strings"
)

// Path says what the way between the two ends is like.
type Path struct {
	MTU       int     // of the middle link, bytes of IP packet; 0: 1500
	BlackHole bool    // routers drop what is too large without a word
	LossUp    float64 // of packets from client to server, 0…1
	LossDown  float64 // of packets from server to client
	MaxLen    int     // r1 drops longer IP packets without a word, 0: none
	Police    int     // r1 lets so many packets of a flow pass in 20 ms, each way, and drops the others; 0: all
}

func (p *Path) check() error {
	if p.MTU == 0 {
		p.MTU = 1500
	}
	if p.MTU < 68 || p.MTU > 1500 { // RFC 791: every link carries 68
		return fmt.Errorf("lab: middle link of %d bytes", p.MTU)
	}
	for _, loss := range []float64{p.LossUp, p.LossDown} {
		if loss < 0 || loss > 1 {
			return fmt.Errorf("lab: loss of %v", loss)
		}
	}
	if p.MaxLen < 0 {
		return fmt.Errorf("lab: packets of at most %d bytes", p.MaxLen)
	}
	if p.Police < 0 || p.Police > 1000 {
		return fmt.Errorf("lab: %d packets in 20 ms", p.Police)
	}
	return nil
}

// rules is a script for nft that makes a host behave like p, whatever was in
// force before.
func rules(h Host, p Path) string {
	var b strings.Builder
	b.WriteString("table inet lab\ndelete table inet lab\ntable inet lab {\n")
	router := h == R1 || h == R2
	switch h {
	case Client:
		fmt.Fprintf(&b, countRules, "sport")
	case Server:
		fmt.Fprintf(&b, countRules, "dport")
	case R1, R2:
	}
	if h == R1 {
		fmt.Fprintf(&b, forwardRules, losses(p, p.LossUp)+police(p, "up", "sport"), losses(p, p.LossDown)+police(p, "down", "dport"))
	}
	if router && p.BlackHole {
		b.WriteString(blackHoleRules)
	}
	b.WriteString("}\n")
	return b.String()
}

// countRules count the datagrams of an end, before they are cut into IP fragments:
// all, and those of each flow, by the client's port.
const countRules = `  counter datagrams {}
  set flows {
    type inet_service; size 65535; flags dynamic;
    counter
  }
  chain sent {
    type filter hook output priority 0; policy accept;
    meta l4proto udp counter name datagrams
    meta l4proto udp update @flows { udp %s counter }
  }
`

// forwardRules count IP fragments and drop packets. What is too large for the
// middle link is refused before it comes here, and the refusals do not pass
// here: they are never lost.
const forwardRules = `  counter fragments {}
  set police_up { type inet_service; size 65535; flags dynamic; }
  set police_down { type inet_service; size 65535; flags dynamic; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip frag-off & 0x3fff != 0 counter name fragments
    exthdr frag exists counter name fragments
    iifname "cli" jump up
    iifname "mid" jump down
  }
  chain up {
%s  }
  chain down {
%s  }
`

func losses(p Path, loss float64) string {
	var b strings.Builder
	if p.MaxLen > 0 {
		fmt.Fprintf(&b, "    meta length > %d drop\n", p.MaxLen)
	}
	if n := int(loss*10000 + 0.5); n > 0 {
		fmt.Fprintf(&b, "    numgen random mod 10000 < %d drop\n", n)
	}
	return b.String()
}

// police is a token bucket for each flow: p.Police packets fit, and as many come
// in again within 20 ms.
func police(p Path, way, clientPort string) string {
	if p.Police == 0 {
		return ""
	}
	return fmt.Sprintf("    meta l4proto udp update @police_%s { udp %s limit rate over %d/second burst %d packets } drop\n",
		way, clientPort, p.Police*50, p.Police)
}

// blackHoleRules keep "fragmentation needed" and "packet too big" to the router.
const blackHoleRules = `  chain notices {
    type filter hook output priority 0; policy accept;
    icmp type destination-unreachable icmp code 4 drop
    icmpv6 type packet-too-big drop
  }
`
