package mask

// phrases replaces every occurrence of a word.
type phrases struct {
	words *words
	held  []byte // text that may be the beginning of a word
	cover int    // bytes at the beginning of held that a replaced word covers
}

func (s *phrases) mask(dst, text []byte, final bool) []byte {
	text = join(s.held, text)
	shown := 0         // text before it is in dst or replaced
	covered := s.cover // text before it belongs to a word already replaced
	i := 0
	for {
		if i = s.words.next(text, i); i == len(text) {
			break
		}
		length, _, open := s.words.at(text[i:])
		if open && !final {
			break
		}
		if length > 0 {
			if i >= covered {
				dst = append(dst, text[max(shown, covered):i]...)
				dst = append(dst, replacement...)
			}
			shown = i
			covered = max(covered, i+length)
		}
		i++
	}
	if from := max(shown, covered); from < i {
		dst = append(dst, text[from:i]...)
	}
	s.held = keep(s.held, text[i:])
	s.cover = max(0, covered-i)
	if final {
		s.cover = 0
	}
	return dst
}
