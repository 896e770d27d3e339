package lab

import (
	"context"
	"encoding/json"
	"fmt"
)

// Counts are packets that crossed the lab since the path was set.
type Counts struct {
	FromClient, FromServer int // datagrams that the ends sent
	Fragments              int // IP fragments that came to r1's forwarding
}

// Count reads the counters.
func (l *Lab) Count(ctx context.Context) (c Counts, err error) {
	for _, q := range []struct {
		host Host
		name string
		into *int
	}{{Client, "datagrams", &c.FromClient}, {Server, "datagrams", &c.FromServer}, {R1, "fragments", &c.Fragments}} {
		out, err := output(ctx, "", "ip", "netns", "exec", l.namespace(q.host), "nft", "-j", "list", "counter", "inet", "lab", q.name)
		if err != nil {
			return Counts{}, err
		}
		if *q.into, err = parseCounter(out); err != nil {
			return Counts{}, fmt.Errorf("lab: counter %s of %s: %w", q.name, q.host, err)
		}
	}
	return c, nil
}

// Flows are the datagrams of both ends for each flow since the path was set, by the
// client's port.
func (l *Lab) Flows(ctx context.Context) (map[int]Counts, error) {
	flows := map[int]Counts{}
	for _, h := range []Host{Client, Server} {
		out, err := output(ctx, "", "ip", "netns", "exec", l.namespace(h), "nft", "-j", "list", "set", "inet", "lab", "flows")
		if err != nil {
			return nil, err
		}
		sent, err := parseFlows(out)
		if err != nil {
			return nil, fmt.Errorf("lab: flows of %s: %w", h, err)
		}
		for port, n := range sent {
			c := flows[port]
			if h == Client {
				c.FromClient = n
			} else {
				c.FromServer = n
			}
			flows[port] = c
		}
	}
	return flows, nil
}

// parseFlows reads the packets of each element of the one set in nft's JSON.
func parseFlows(out string) (map[int]int, error) {
	var list struct {
		Nftables []struct {
			Set *struct {
				Elem []struct {
					Elem struct {
						Val     int
						Counter *struct{ Packets int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	for _, entry := range list.Nftables {
		if entry.Set == nil {
			continue
		}
		flows := map[int]int{}
		for _, e := range entry.Set.Elem {
			if e.Elem.Counter == nil {
				return nil, fmt.Errorf("port %d has no counter", e.Elem.Val)
			}
			flows[e.Elem.Val] = e.Elem.Counter.Packets
		}
		return flows, nil
	}
	return nil, fmt.Errorf("no set in %q", out)
}

// parseCounter reads the packets of the one counter in nft's JSON.
func parseCounter(out string) (int, error) {
	var list struct {
		Nftables []struct {
			Counter *struct{ Packets int }
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return 0, err
	}
	for _, entry := range list.Nftables {
		if entry.Counter != nil {
			return entry.Counter.Packets, nil
		}
	}
	return 0, fmt.Errorf("not in %q", out)
}

// Sub is what crossed between two readings.
func (c Counts) Sub(before Counts) Counts {
	return Counts{c.FromClient - before.FromClient, c.FromServer - before.FromServer, c.Fragments - before.Fragments}
}
