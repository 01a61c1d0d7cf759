package relay

import "go.uber.org/zap"

// Bounds of what one job can put into the operator's log.
const (
	maxStrays    = 50
	maxStrayLine = 500 // bytes
)

// strayLog tells the operator of lines that are no frames, each text once.
type strayLog struct {
	log  *zap.Logger
	seen map[string]bool
}

func (s *strayLog) note(line string) {
	if len(line) > maxStrayLine {
		line = line[:maxStrayLine] + "…"
	}
	switch {
	case s.seen[line], len(s.seen) > maxStrays:
		return
	case s.seen == nil:
		s.seen = make(map[string]bool)
	}
	s.seen[line] = true
	if len(s.seen) > maxStrays {
		s.log.Warn("log stream has more lines that are no frames; not shown")
		return
	}
	s.log.Warn("log stream has a line that is no frame", zap.String("line", line))
}
