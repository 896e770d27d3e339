package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// association is the client's report on one.
type association struct {
	Port           int // of the client, 0: it was not established
	Error          string
	Client, Server limit
	Took           time.Duration // from the call of Dial until both ends were established
	Written        int           // datagrams of data, of the client
	Answers        int           // and of the server
	Calls          int           // of ReportLost, until a datagram of full size was answered
	Log            string        `json:",omitempty"`

	Datagrams int `json:"-"` // of both ends, without data
}

// dial makes e.n associations and keeps them until its standard input ends.
func dial(args []string) error {
	var e endpoint
	if err := e.parse(args); err != nil {
		return err
	}
	reports := make(chan association)
	for i := range e.n {
		go func() {
			time.Sleep(time.Duration(i) * e.every)
			reports <- e.associate()
		}()
	}
	out := json.NewEncoder(os.Stdout)
	for range e.n {
		if err := out.Encode(<-reports); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// associate makes one, which is open still when the process ends.
func (e *endpoint) associate() (a association) {
	config, err := e.config(true)
	if err != nil {
		return association{Error: err.Error()}
	}
	if e.trace {
		log := new(bytes.Buffer)
		config.Logger = logTo(log)
		defer func() { a.Log = log.String() }()
	}
	began := time.Now()
	conn, err := dtls.Dial("udp", e.address, config)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	established := time.Now()
	a.Port = conn.LocalAddr().(*net.UDPAddr).Port
	if got, want := dtls.VersionName(conn.ConnectionState().Version), "DTLS "+e.version; got != want {
		a.Error = "not " + want + " but " + got
		return a
	}
	q := &questions{conn: conn, a: &a}
	err = q.ask()
	if err == nil && e.data {
		err = q.fill()
	} else if err == nil && e.settle > 0 {
		time.Sleep(e.settle)
		err = q.ask()
	}
	if err != nil {
		a.Error = err.Error()
	}
	a.Client, a.Server, a.Answers = limitAt(conn), q.last.Limit, q.last.Answers
	if q.last.Established.After(established) {
		established = q.last.Established
	}
	a.Took = established.Sub(began)
	return a
}

// questions are the data of an association.
type questions struct {
	conn   *dtls.Conn
	a      *association
	number int
	last   answer
}

// ask repeats a short question until it is answered, which also shows that the
// server is established.
func (q *questions) ask() error {
	q.number++
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ok, err := q.once(0); ok || err != nil {
			return err
		}
	}
	return errors.New("established, but no data comes back")
}

// fill asks with datagrams of full size, and reports those that are lost, until one
// is answered.
func (q *questions) fill() error {
	for range 5 * reportedCalls {
		q.number++
		size := q.conn.MTU()
		if ok, err := q.once(q.conn.MaxData()); ok || err != nil {
			return err
		}
		q.conn.ReportLost(size)
		q.a.Calls++
	}
	return errors.New("no datagram of full size comes back")
}

// once sends a question, padded to size bytes, and reports whether the answer to it
// came.
func (q *questions) once(size int) (bool, error) {
	text := fmt.Appendf(nil, "question %d\n", q.number)
	text = append(text, make([]byte, max(0, size-len(text)))...)
	if _, err := q.conn.Write(text); err != nil && dtls.IsFatal(err) {
		return false, err
	}
	q.a.Written++
	if err := q.conn.SetReadDeadline(time.Now().Add(askEvery)); err != nil {
		return false, err
	}
	buf := make([]byte, 2048)
	for {
		n, err := q.conn.Read(buf)
		if errors.Is(err, dtls.ErrAgain) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		var got answer
		if err := json.Unmarshal(buf[:n], &got); err != nil {
			return false, err
		}
		if got.Answers > q.last.Answers {
			q.last = got
		}
		if got.Question == q.number {
			return true, nil
		}
	}
}
