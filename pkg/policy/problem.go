package policy

import (
	"errors"
	"fmt"
)

// A Problem is something in a [Config] that has to change before it can be used.
type Problem struct {
	Key     string // in the runner's table, "kubernetes.allowed_images[1]"
	Message string // what is wrong; what to do
}

func (p *Problem) Error() string { return p.Key + ": " + p.Message }

// problems collects what is wrong with a Config.
type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &Problem{Key: key, Message: fmt.Sprintf(format, args...)})
}

func (p problems) err() error { return errors.Join(p...) }

func element(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
