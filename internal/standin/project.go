package standin

import "slices"

// A Project is what GitLab protects things in. What is protected here changes no
// payload: a test may let a payload say something else ([JobSpec.Protected]).
type Project struct {
	server *Server
	id     int64
	path   string

	branches, tags, environments protections // guarded by server.mu
}

// Project returns the project of jobs without a repository.
func (s *Server) Project() *Project { return s.project }

// projectByID returns nil where there is none. s.mu is held.
func (s *Server) projectByID(id int64) *Project {
	if id == s.project.id {
		return s.project
	}
	for _, r := range s.repos {
		if r.id == id {
			return r.Project
		}
	}
	return nil
}

// ID returns the project's number.
func (p *Project) ID() int64 { return p.id }

// Path returns the project's path.
func (p *Project) Path() string { return p.path }

// ProtectBranch protects the branches that have the name or fit its wildcards.
func (p *Project) ProtectBranch(name string) { p.change(func() { p.branches.add(p, name) }) }

// ProtectTag protects the tags that have the name or fit its wildcards.
func (p *Project) ProtectTag(name string) { p.change(func() { p.tags.add(p, name) }) }

// ProtectEnvironment protects an environment.
func (p *Project) ProtectEnvironment(name string) { p.change(func() { p.environments.add(p, name) }) }

// UnprotectBranch takes back what ProtectBranch did with the same name.
func (p *Project) UnprotectBranch(name string) { p.change(func() { p.branches.remove(name) }) }

// UnprotectTag takes back what ProtectTag did with the same name.
func (p *Project) UnprotectTag(name string) { p.change(func() { p.tags.remove(name) }) }

// UnprotectEnvironment takes back what ProtectEnvironment did.
func (p *Project) UnprotectEnvironment(name string) { p.change(func() { p.environments.remove(name) }) }

func (p *Project) change(f func()) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	f()
}

// A protection is one line of a project's settings.
type protection struct {
	id   int64
	name string
}

type protections []protection

func (l *protections) add(p *Project, name string) {
	if !slices.ContainsFunc(*l, func(o protection) bool { return o.name == name }) {
		*l = append(*l, protection{p.server.id(), name})
	}
}

func (l *protections) remove(name string) {
	*l = slices.DeleteFunc(*l, func(o protection) bool { return o.name == name })
}
