package mask

// parameters are the query parameters whose values are replaced.
var parameters = [...]string{
	"private_token", "authenticity_token", "rss_token",
	"x-amz-signature", "x-amz-credential", "x-amz-security-token",
}

// query replaces the values of URL query parameters.
type query struct {
	name   []byte // what came behind "?" or "&" so far, in lower case
	naming bool   // name may still become one of the parameters
	inside bool   // a value is being dropped
}

// mask holds nothing back: whether a value follows is known once the name is
// complete, and names are shown anyway.
func (s *query) mask(dst, text []byte, final bool) []byte {
	for i := 0; i < len(text); {
		switch {
		case s.inside:
			for i < len(text) && !endsValue(text[i]) {
				i++
			}
			s.inside = i == len(text)
		case s.naming:
			dst = append(dst, text[i])
			s.nameByte(text[i])
			if s.inside {
				dst = append(dst, replacement...)
			}
			i++
		default:
			n := indexQuery(text[i:])
			if n < 0 {
				dst = append(dst, text[i:]...)
				i = len(text)
				break
			}
			dst = append(dst, text[i:i+n+1]...)
			i += n + 1
			s.begin()
		}
	}
	if final {
		s.naming, s.inside = false, false
	}
	return dst
}

// indexQuery returns where the first "?" or "&" stands, or -1.
func indexQuery(text []byte) int {
	for i, c := range text {
		if c == '?' || c == '&' {
			return i
		}
	}
	return -1
}

func (s *query) begin() {
	s.naming = true
	s.name = s.name[:0]
}

// nameByte takes the next byte of a parameter's name.
func (s *query) nameByte(c byte) {
	if c == '?' || c == '&' {
		s.begin()
		return
	}
	s.naming = false
	if c == '=' {
		for _, p := range parameters {
			s.inside = s.inside || string(s.name) == p
		}
		return
	}
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	s.name = append(s.name, c)
	for _, p := range parameters {
		if len(s.name) <= len(p) && p[:len(s.name)] == string(s.name) {
			s.naming = true
		}
	}
}

// endsValue says whether c ends a value: "?", "&", white space and control
// characters do.
func endsValue(c byte) bool { return c <= ' ' || c == 0x7f || c == '?' || c == '&' }
