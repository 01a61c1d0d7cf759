package artifact

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"sync/atomic"
)

// A form is the body of an upload: the artifact is packed by a goroutine while
// the body is read. Its counters are valid after end.
type form struct {
	pipe        *io.PipeReader
	contentType string
	done        chan struct{} // closed when the goroutine has ended
	err         error
	bytes       int64 // of the artifact
	files       int
}

// A localError is trouble with the files, not with GitLab.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// errEnded ends the making of a body that nobody wants any more.
var errEnded = errors.New("the request has ended")

// body begins to make the body of one sending.
func (s *sending) body(ctx context.Context) *form {
	out, in := io.Pipe()
	form := &form{pipe: out, done: make(chan struct{})}
	parts := multipart.NewWriter(in)
	form.contentType = parts.FormDataContentType()
	go func() {
		defer close(form.done)
		form.err = form.write(ctx, s, parts)
		_ = in.CloseWithError(form.err) // always nil
	}()
	return form
}

func (f *form) write(ctx context.Context, s *sending, parts *multipart.Writer) error {
	part, err := parts.CreateFormFile("file", s.FileName)
	if err != nil {
		return err
	}
	counted := &counter{w: part, all: &s.client.sent}
	buffered := bufio.NewWriterSize(counted, readBytes)
	f.files, err = pack(ctx, buffered, s.root, &s.Upload, &s.notes)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = parts.Close()
	}
	f.bytes = counted.n
	return err
}

// end ends the making of the body and waits for that. complete says that all of
// it was read; local is why it could not be made.
func (f *form) end() (complete bool, local error) {
	_ = f.pipe.CloseWithError(errEnded) // always nil
	<-f.done
	switch {
	case f.err == nil:
		return true, nil
	case errors.Is(f.err, errEnded), errors.Is(f.err, io.ErrClosedPipe), isContext(f.err):
		return false, nil
	}
	return false, &localError{f.err}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errUploadTimeout)
}

// A counter counts what goes through it.
type counter struct {
	w   io.Writer
	n   int64
	all *atomic.Int64 // of all counters of a client together
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.all.Add(int64(n))
	return n, err
}
