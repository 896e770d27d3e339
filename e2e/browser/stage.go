//go:build linux

package browser

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

//go:embed page.html
var page []byte

// stage is the web server that a browser's page is from, and talks to:
//
//	GET  /          the page
//	POST /offer     its SDP offer, one for each call → the answer, when a test wants a call
//	POST /report    what became of the call → when the test is done with it
type stage struct {
	server *httptest.Server
	loaded chan struct{} // closed when the page has made its first offer
	calls  chan *call    // those that wait for a test

	mu   sync.Mutex
	byID map[string]*call
}

// call is one RTCPeerConnection of the page.
type call struct {
	ID     string `json:"id"`
	Answer string `json:"sdp"` // written once, before answered is closed
	offer  string

	answered chan struct{}
	reports  chan report
	over     chan struct{} // closed when the page may go on to the next
}

// report is what the page saw of a call. The names of stats are those of W3C's
// RTCTransportStats.
type report struct {
	Error  string  // "" if all went well
	Opened float64 // milliseconds from the answer to an open data channel
	Echoed int     // messages of the page that came back
	Heard  int     // messages of ours that the page sent back
	Stats  struct {
		TLSVersion string
		DTLSCipher string
		DTLSRole   string
		DTLSState  string
		SRTPCipher string
	}
}

func newStage(t *testing.T) *stage {
	s := &stage{loaded: make(chan struct{}), calls: make(chan *call), byID: make(map[string]*call)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	mux.HandleFunc("POST /offer", s.takeOffer)
	mux.HandleFunc("POST /report", s.takeReport)
	s.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

func (s *stage) url() string { return s.server.URL + "/" }

// next waits for the page's next offer.
func (s *stage) next(t *testing.T, p *process) *call {
	t.Helper()
	select {
	case c := <-s.calls:
		t.Cleanup(func() { close(c.over) })
		return c
	case <-p.ended:
		t.Fatal("the browser has ended")
	case <-time.After(callTimeout):
		t.Fatalf("the page makes no offer in %v", callTimeout)
	}
	return nil
}

func (s *stage) takeOffer(w http.ResponseWriter, r *http.Request) {
	var sdp struct{ SDP string }
	if err := json.NewDecoder(r.Body).Decode(&sdp); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := s.newCall(sdp.SDP)
	select {
	case s.calls <- c:
	case <-r.Context().Done():
		return
	}
	select {
	case <-c.answered:
		json.NewEncoder(w).Encode(c)
	case <-c.over:
		http.Error(w, "the test does not want this call any more", http.StatusGone)
	case <-r.Context().Done():
	}
}

func (s *stage) newCall(offer string) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) == 0 {
		close(s.loaded)
	}
	c := &call{
		ID:       strconv.Itoa(len(s.byID)),
		offer:    offer,
		answered: make(chan struct{}),
		reports:  make(chan report, 1),
		over:     make(chan struct{}),
	}
	s.byID[c.ID] = c
	return c
}

func (s *stage) takeReport(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	c := s.byID[r.FormValue("call")]
	s.mu.Unlock()
	if c == nil {
		http.NotFound(w, r)
		return
	}
	var p report
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		p = report{Error: "report: " + err.Error()}
	}
	select {
	case c.reports <- p:
	default: // a page that reports twice
	}
	select {
	case <-c.over:
	case <-r.Context().Done():
	}
}

// answer lets the page go on with a call.
func (c *call) answer(sdp string) {
	c.Answer = sdp
	close(c.answered)
}

// report waits for what the page has to say.
func (c *call) report(t *testing.T) report {
	t.Helper()
	select {
	case p := <-c.reports:
		if p.Error != "" {
			t.Fatalf("the page: %s", p.Error)
		}
		return p
	case <-time.After(callTimeout):
		t.Fatalf("the page says nothing in %v", callTimeout)
	}
	return report{}
}
