package keys

import (
	"crypto"
	"testing"
)

func TestScheduleRuns(t *testing.T) {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384} {
		s := NewSchedule13(h, nil)
		th := emptyHash(h)
		s.BinderKey(true)
		s.EnterHandshake([]byte("shared"))
		s.ClientHandshakeTraffic(th)
		s.EnterMaster()
		k := TrafficKeys13(h, s.ClientApplicationTraffic(th), 16)
		if len(k.Key) != 16 || len(k.IV) != 12 || len(k.SN) != 16 {
			t.Error(k)
		}
		if out, err := Exporter13(h, s.ExporterMaster(th), "EXPERIMENTAL x", nil, 40); err != nil || len(out) != 40 {
			t.Error(out, err)
		}
	}
}
