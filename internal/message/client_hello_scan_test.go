package message

import (
	"bytes"
	"testing"
)

func TestScanReadsWhatParseReads(t *testing.T) {
	for _, sample := range samples {
		m, ok := sample.m.(*ClientHello)
		if !ok {
			continue
		}
		s, ok := ScanClientHello(sample.body(t))
		if !ok {
			t.Errorf("%s: not ok", sample.name)
			continue
		}
		if string(s.ServerName) != m.ServerName || !bytes.Equal(s.RetryCookie, m.RetryCookie) || s.HasKeyShares != m.HasKeyShares {
			t.Errorf("%s: %+v", sample.name, s)
		}
	}
}

func TestScanClientHelloDoesNotAllocate(t *testing.T) {
	for _, sample := range samples {
		if _, ok := sample.m.(*ClientHello); !ok {
			continue
		}
		body := sample.body(t)
		if n := testing.AllocsPerRun(100, func() {
			for i := range len(body) + 1 {
				s, _ := ScanClientHello(body[:i])
				for b := range s.Fixed() {
					_ = b
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", sample.name, n)
		}
	}
}
