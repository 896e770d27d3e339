package dtls

// news are events that a Conn has still to report: to the callbacks of its Config,
// and to the next Write. Most associations have none, so a Conn has a pointer to it.
// Conn.mu guards it.
type news struct {
	path     *PathInfo         // for Config.OnMTU
	large    *LargePacketError // a datagram that was refused after its Write had returned
	sessions bool              // the engine has new ones, for Config.OnSession or the ClientSessionCache
}

// hasNews reports whether announce has something to do.
func (c *Conn) hasNews() bool { return c.news != nil && (c.news.path != nil || c.news.sessions) }

func (c *Conn) addNews() *news {
	if c.news == nil {
		c.news = new(news)
	}
	return c.news
}

// dropNews forgets what is not reported yet, but for the next Write.
func (c *Conn) dropNews() {
	if c.news != nil {
		c.news.path = nil
		c.tidyNews()
	}
}

// tidyNews frees the memory of news that are reported.
func (c *Conn) tidyNews() {
	if c.news != nil && *c.news == (news{}) {
		c.news = nil
	}
}

func (c *Conn) noteSessions()                 { c.addNews().sessions = true }
func (c *Conn) noteLarge(e *LargePacketError) { c.addNews().large = e }
func (c *Conn) notePath(p PathInfo)           { c.addNews().path = &p }

// takeLarge returns the refusal that is to be reported, nil if there is none.
func (c *Conn) takeLarge() (large *LargePacketError) {
	if c.news != nil {
		large, c.news.large = c.news.large, nil
		c.tidyNews()
	}
	return large
}

// announce calls Config.OnSession and OnMTU if there is news for them, with mu
// held; it is released meanwhile.
func (c *Conn) announce() {
	if c.news == nil {
		return
	}
	if c.news.sessions {
		c.news.sessions = false
		c.giveSessions()
	}
	var path *PathInfo
	if c.news != nil { // giveSessions has released mu
		path, c.news.path = c.news.path, nil
		c.tidyNews()
	}
	if call := c.eng.p.onMTU; path != nil && call != nil {
		c.outside(func() { call(*path) })
	}
}

// giveSessions gives the new sessions to Config.OnSession or the
// ClientSessionCache, with mu held; it is released meanwhile.
func (c *Conn) giveSessions() {
	p := c.eng.p
	if p.sessionSink.callback == nil && p.sessionSink.cache == nil {
		return
	}
	for {
		blob, err := c.eng.Session()
		if err != nil {
			return
		}
		c.outside(func() {
			if p.sessionSink.callback != nil {
				p.sessionSink.callback(c, blob)
			} else {
				p.sessionSink.cache.Put(p.ServerName, blob)
			}
		})
	}
}
