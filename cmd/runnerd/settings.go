package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/policy"
	"github.com/runnerd/runnerd/pkg/registry"
)

// load reads the config file. A file that cannot be read or is not valid is a
// usage error: nothing has been started.
func (a *app) load() (*config.Config, []config.Warning, error) {
	data, err := os.ReadFile(a.configPath)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("read configuration: %w; name the file with --config or CONFIG_FILE", err)}
	}
	c, warnings, err := config.Parse(a.configPath, data)
	if err != nil {
		return nil, warnings, err
	}
	return c, warnings, checkPolicy(a.configPath, data, c)
}

// checkPolicy reports what pkg/policy refuses: it knows images and rules better
// than pkg/config does.
func checkPolicy(path string, data []byte, c *config.Config) error {
	var problems []*config.Problem
	for i, r := range c.Runners {
		_, err := policy.New(policyConfig(r))
		for _, found := range append(policyProblems(err), keyProblems(r.Policy)...) {
			key := fmt.Sprintf("runners[%d].%s", i, found.Key)
			problems = append(problems, &config.Problem{File: path, Line: config.Line(data, key), Key: key, Message: found.Message})
		}
	}
	slices.SortStableFunc(problems, func(a, b *config.Problem) int { return cmp.Compare(a.Line, b.Line) })
	var joined []error
	for _, p := range problems {
		joined = append(joined, p)
	}
	return errors.Join(joined...)
}

// keyProblems reports the files that hold no public key.
func keyProblems(p config.Policy) []*policy.Problem {
	var list []*policy.Problem
	for i, s := range p.Signatures {
		for n, file := range s.Keys {
			if _, err := registry.LoadKey(file); err != nil {
				list = append(list, &policy.Problem{Key: fmt.Sprintf("policy.signatures[%d].keys[%d]", i, n), Message: err.Error()})
			}
		}
	}
	return list
}

// policyProblems takes an error of policy.New apart, which joins problems.
func policyProblems(err error) []*policy.Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*policy.Problem
		for _, e := range joined.Unwrap() {
			list = append(list, policyProblems(e)...)
		}
		return list
	}
	if p, ok := errors.AsType[*policy.Problem](err); ok {
		return []*policy.Problem{p}
	}
	return []*policy.Problem{{Key: "policy", Message: err.Error()}}
}

// A selection names entries of the config file. An empty field selects any.
type selection struct{ name, url, token string }

func (s selection) empty() bool { return s == selection{} }

// of returns the positions of the selected entries in the file.
func (s selection) of(c *config.Config, path string) ([]int, error) {
	var found []int
	for i, r := range c.Runners {
		if (s.name == "" || s.name == r.Name) && (s.url == "" || sameURL(s.url, r.URL)) && (s.token == "" || s.token == r.Token.Reveal()) {
			found = append(found, i)
		}
	}
	if len(found) == 0 && !s.empty() {
		return nil, fmt.Errorf("no [[runners]] entry in %q is the one asked for; see runnerd list", path)
	}
	return found, nil
}

func sameURL(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// removeEntries takes entries out of the config file, which may have changed
// since it was read: an entry goes when its token is still the one it had.
func removeEntries(path string, gone []config.Runner) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	c, _, err := config.Parse(path, data)
	if err != nil {
		return err
	}
	for i := len(c.Runners) - 1; i >= 0; i-- {
		for _, r := range gone {
			if c.Runners[i].Token != r.Token || c.Runners[i].URL != r.URL || c.Runners[i].Name != r.Name {
				continue
			}
			if data, err = config.RemoveRunner(path, data, i); err != nil {
				return err
			}
			break
		}
	}
	return config.WriteFile(path, data)
}
