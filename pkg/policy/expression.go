package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/runnerd/runnerd/pkg/job"
)

// Bounds of an expression, for the values that an expression may meet.
const (
	maxCost = 1_000_000 // what cel-go counts: about a unit for each byte or element that is looked at
	maxText = 4 << 10   // bytes of a fact
	maxList = 64        // images, services or tags of a job

	maxExpression = 16 << 10 // bytes of its text
)

// The facts that expressions know, by name.
var variables = []cel.EnvOption{
	cel.Variable("project", cel.StringType),
	cel.Variable("project_id", cel.IntType),
	cel.Variable("ref", cel.StringType),
	cel.Variable("ref_name", cel.StringType),
	cel.Variable("ref_kind", cel.StringType),
	cel.Variable("protected", cel.BoolType),
	cel.Variable("source", cel.StringType),
	cel.Variable("fork", cel.BoolType),
	cel.Variable("user", cel.StringType),
	cel.Variable("user_id", cel.IntType),
	cel.Variable("job", cel.StringType),
	cel.Variable("stage", cel.StringType),
	cel.Variable("environment", cel.StringType),
	cel.Variable("environment_protected", cel.BoolType),
	cel.Variable("tags", cel.ListType(cel.StringType)),
	cel.Variable("image", cel.StringType),
	cel.Variable("images", cel.ListType(cel.StringType)),
	cel.Variable("services", cel.ListType(cel.StringType)),
}

// newExpression checks a CEL expression: its types, and that it cannot become
// expensive. A fact that is not known makes the result unknown, unless it does
// not matter ("true || x").
func newExpression(p *problems, key string, r Rule) condition {
	text := r.Expression
	c := condition{
		key: "expression", wants: text,
		fits:  func(*subject) truth { return unknown },
		shows: func(s *subject) string { return "expression over " + s.summary() },
	}
	if len(text) > maxExpression {
		p.add(key, "longer than %d bytes; write several rules", maxExpression)
		return c
	}
	env, err := cel.NewEnv(append(slices.Clone(variables), ext.Strings(), ext.Sets(), ext.Lists())...)
	if err != nil {
		p.add(key, "CEL: %v", err)
		return c
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		p.add(key, "%s", compileError(issues))
		return c
	}
	if checked.OutputType() != cel.BoolType {
		p.add(key, "is of type %s; write an expression that is true or false", checked.OutputType())
		return c
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil || estimate.Max > maxCost {
		p.add(key, "may take too long (cost %d, at most %d is allowed); write it with fewer loops over lists", estimate.Max, maxCost)
		return c
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize, cel.OptPartialEval))
	if err != nil {
		p.add(key, "CEL: %v", err)
		return c
	}
	for _, r := range checked.NativeRep().ReferenceMap() {
		if len(r.OverloadIDs) == 0 {
			c.reads = append(c.reads, r.Name)
		}
	}
	c.fits = func(s *subject) truth { return evaluate(program, s) }
	if r.Action == Deny {
		// As in lists of what is denied, another name of an image is the same.
		c.fits = func(s *subject) truth {
			t := evaluate(program, s)
			if same := s.identical(); same != s && t != yes {
				t = max(t, evaluate(program, same))
			}
			return t
		}
	}
	return c
}

// compileError says in one line what is wrong, and where.
func compileError(issues *cel.Issues) string {
	var out []string
	for _, e := range issues.Errors() {
		out = append(out, fmt.Sprintf("%d:%d: %s", e.Location.Line(), e.Location.Column()+1, strings.Join(strings.Fields(e.Message), " ")))
	}
	return strings.Join(out, "; ") + "; correct the CEL expression (line:column)"
}

// evaluate returns unknown for whatever cannot be told, which includes an error
// of the expression.
func evaluate(program cel.Program, s *subject) truth {
	vars, unsure := s.variables()
	var known any = vars
	if len(unsure) > 0 {
		var patterns []*cel.AttributePatternType
		for _, name := range unsure {
			patterns = append(patterns, cel.AttributePattern(name))
		}
		partial, err := cel.PartialVars(vars, patterns...)
		if err != nil {
			return unknown
		}
		known = partial
	}
	result, _, err := program.Eval(known)
	if value, ok := result.(types.Bool); ok && err == nil {
		return truthOf(bool(value))
	}
	return unknown
}

// variables returns the facts by their names in expressions, and the names of
// those that are not known.
func (s *subject) variables() (vars map[string]any, unsure []string) {
	if s.vars != nil {
		return s.vars, s.unsure
	}
	s.vars = map[string]any{"project": s.Project, "project_id": s.ProjectID, "job": s.Job, "stage": s.Stage}
	give := func(name string, value any, known bool) {
		if known {
			s.vars[name] = value
			return
		}
		s.unsure = append(s.unsure, name)
	}
	text := func(name string, t Text) {
		value, known := t.known()
		give(name, value, known)
	}
	kind, name := s.RefName()
	for key, value := range map[string]string{"ref": s.Ref, "ref_name": name, "ref_kind": kind} {
		give(key, value, s.OtherRef == "")
	}
	flag := func(name string, f Flag) { give(name, f.Value == job.True, f.Value != job.Unset) }
	flag("protected", s.Protected)
	flag("fork", s.Fork)
	flag("environment_protected", s.EnvironmentProtected)
	text("source", s.Source)
	text("user", s.User)
	text("environment", s.Environment)
	give("user_id", s.UserID, s.UserID != 0)
	give("tags", s.Tags, s.TagsKnown)
	s.imageVariables(give)
	return s.vars, s.unsure
}

// imageVariables gives images in full. A name that is none is not known.
func (s *subject) imageVariables(give func(string, any, bool)) {
	image, services, all := "", []string{}, []string{}
	valid, servicesValid := true, true
	for _, im := range s.images {
		all = append(all, im.parsed.String())
		if im.isService() {
			services = append(services, im.parsed.String())
			servicesValid = servicesValid && im.err == nil
			continue
		}
		image, valid = im.parsed.String(), im.err == nil
	}
	give("image", image, valid)
	give("services", services, servicesValid)
	give("images", all, valid && servicesValid)
}

// sizes tells the cost estimate how large facts are at most. An evaluation that
// meets larger ones ends at the same bound.
type sizes struct{}

func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	most := uint64(maxText)
	if node.Type().Kind() == types.ListKind {
		most = maxList
	}
	return &cost.SizeEstimate{Max: most}
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
