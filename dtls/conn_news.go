package dtls

// announce calls Config.OnMTU and OnSession if there is something new, with mu
// held; it is let go meanwhile.
func (c *Conn) announce() {
	c.takeSessions()
	news := c.news
	if news == nil {
		return
	}
	c.news = nil
	if tell := c.eng.p.onMTU; tell != nil {
		c.mu.Unlock()
		tell(*news)
		c.mu.Lock()
	}
}

// takeSessions gives new sessions to whoever asked for them, with mu held; it is
// let go meanwhile.
func (c *Conn) takeSessions() {
	if !c.flags.sessions {
		return
	}
	c.flags.sessions = false
	p := c.eng.p
	if p.sessionSink.callback == nil && p.sessionSink.cache == nil {
		return
	}
	for {
		blob, err := c.eng.Session()
		if err != nil {
			return
		}
		c.mu.Unlock()
		if p.sessionSink.callback != nil {
			p.sessionSink.callback(c, blob)
		} else {
			p.sessionSink.cache.Put(p.serverName, blob)
		}
		c.mu.Lock()
	}
}
