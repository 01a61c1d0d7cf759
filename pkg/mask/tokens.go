package mask

// tokens replaces what follows a prefix.
type tokens struct {
	words  *words
	held   []byte // text that may be the beginning of a prefix
	behind bool   // a prefix came last; its token may begin
	inside bool   // a token is being dropped
}

func (s *tokens) mask(dst, text []byte, final bool) []byte {
	text = join(s.held, text)
	i := 0
	for i < len(text) {
		if s.behind || s.inside {
			dst, i = s.token(dst, text, i)
			continue
		}
		at := s.words.next(text, i)
		dst = append(dst, text[i:at]...)
		if i = at; i == len(text) {
			break
		}
		// The shortest prefix decides: a longer one is in its token.
		_, length, open := s.words.at(text[i:])
		switch {
		case length > 0:
			s.behind = true
			dst = append(dst, text[i:i+length]...)
			i += length
			continue
		case open && !final:
			s.held = keep(s.held, text[i:])
			return dst
		}
		dst = append(dst, text[i])
		i++
	}
	s.held = s.held[:0]
	if final {
		s.behind, s.inside = false, false
	}
	return dst
}

// token replaces the run of token characters at i.
func (s *tokens) token(dst, text []byte, i int) ([]byte, int) {
	if s.behind && inToken(text[i]) {
		dst = append(dst, replacement...)
		s.inside = true
	}
	s.behind = false
	for i < len(text) && inToken(text[i]) {
		i++
	}
	if i < len(text) {
		s.inside = false
	}
	return dst, i
}

func inToken(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '='
}
