package registry

import (
	"errors"
	"fmt"
	"strings"
)

// findings are what was there instead of the signature.
type findings struct {
	foreign   int         // signatures that no key fits
	elsewhere []elsewhere // good ones, of something else
	unusable  []string    // why
	more      int         // signatures beyond the limit, which nobody looked at
	failure   *Error      // a part of the registry that could not be asked
}

// elsewhere is a signature that was moved to this image from another one.
type elsewhere struct {
	key     Key
	digests []string
}

// A moreError says how many signatures nobody looked at.
type moreError int

func (e moreError) Error() string {
	return fmt.Sprintf("%s beyond the %d that are looked at", count(int(e), "signature"), maxSignatures)
}

// note keeps what a layout has instead of a claim. The registry's silence says
// nothing about signatures, whereas a signature that makes no sense is none.
func (f *findings) note(err error) {
	var answer *Error
	var more moreError
	switch {
	case errors.As(err, &more):
		f.more += int(more)
	case !errors.As(err, &answer):
		f.unusable = append(f.unusable, oneLine(err.Error()))
	case !stops(answer):
		f.unusable = append(f.unusable, "the registry "+answer.text)
	case f.failure == nil:
		f.failure = answer
	}
}

func (f *findings) error(s *session, digest string, keys []Key) *Error {
	if f.failure != nil {
		return f.failure
	}
	var list []string
	if f.foreign > 0 {
		list = append(list, fmt.Sprintf("%s that %s", count(f.foreign, "signature"), noKey(keys)))
	}
	for _, e := range first(f.elsewhere) {
		of := "nothing"
		if len(e.digests) > 0 {
			of = oneLine(strings.Join(e.digests, ", "))
		}
		list = append(list, fmt.Sprintf("a signature by %q, but of %s", e.key, of))
	}
	for _, why := range first(f.unusable) {
		list = append(list, fmt.Sprintf("a signature that cannot be used: %s", why))
	}
	if f.more > 0 {
		list = append(list, moreError(f.more).Error())
	}
	if len(list) == 0 {
		return s.errorf(Unsigned, "no signature of %s; sign it with cosign sign --key", digest)
	}
	return s.errorf(Unsigned, "no signature of %s counts (%s); sign it with cosign sign --key", digest, strings.Join(list, "; "))
}

func noKey(keys []Key) string {
	if len(keys) == 1 {
		return fmt.Sprintf("the key %q does not fit", keys[0])
	}
	return fmt.Sprintf("none of the %s fits", count(len(keys), "key"))
}

// first keeps a message short.
func first[T any](list []T) []T { return list[:min(len(list), 3)] }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
