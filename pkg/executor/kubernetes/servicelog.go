package kubernetes

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxServiceLine is how much of one line of a service's output is shown.
const maxServiceLine = 16 << 10

// read reads a container's log, a line at a time.
func (s *services) read(ctx context.Context, options *corev1.PodLogOptions, take func(line string)) error {
	stream, err := s.attempt.follower.open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewReaderSize(stream, maxServiceLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			take(strings.TrimRight(string(line), "\r\n"))
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = skipLine(lines)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// skipLine leaves out the rest of a line that is too long to show.
func skipLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
