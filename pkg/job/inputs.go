package job

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// The types of an input's value.
const (
	InputString  = "string"
	InputNumber  = "number"
	InputBoolean = "boolean"
	InputArray   = "array"
	InputStruct  = "struct"
)

// The parts of an expression: ${{ job.inputs.<key> }}. Text in ${{ }} that is
// about something else belongs to the script.
const (
	expressionOpen  = "${{"
	expressionClose = "}}"
	inputsObject    = "job.inputs"
)

// The kinds of an [InputError].
const (
	InputSyntax    = "syntax"        // an expression that is not understood
	InputUnknown   = "unknown_input" // the job has no such input
	InputSensitive = "sensitive"
	InputValue     = "value" // one that is not of its type
)

// An InputError says why a job's inputs cannot be put into its definition.
type InputError struct {
	*Failure
	Kind string
}

func (e *InputError) Unwrap() error { return e.Failure }

func inputError(kind, format string, args ...any) error {
	return &InputError{Failf(RunnerConfigurationError, format, args...), kind}
}

// UsesInputs reports whether Compile replaces the expressions of j about its inputs.
func UsesInputs(j *Job, o Options) bool {
	flags, _ := resolveFlags(j.Variables, o.FeatureFlags)
	return flags[flagInputs] && len(j.Inputs) > 0
}

// interpolate returns j with its expressions replaced by the values of its
// inputs. j itself is not changed. What comes out of a value is not looked at
// again: a value is data, wherever it came from.
func interpolate(j *Job, flags map[string]bool) (*Job, error) {
	if !flags[flagInputs] {
		return j, nil
	}
	in := &interpolation{inputs: make(map[string]Input, len(j.Inputs))}
	for _, input := range j.Inputs {
		in.inputs[input.Key] = input
	}
	out := *j
	in.image(&out.Image)
	out.Services = slices.Clone(j.Services)
	for i := range out.Services {
		in.image(&out.Services[i].Image)
		in.list(&out.Services[i].Command)
	}
	out.Steps = slices.Clone(j.Steps)
	for i := range out.Steps {
		if step := &out.Steps[i]; step.Name == stepScript || step.Name == StepAfterScript {
			in.list(&step.Script)
		}
	}
	out.Artifacts = slices.Clone(j.Artifacts)
	for i := range out.Artifacts {
		a := &out.Artifacts[i]
		in.texts(&a.Name, &a.When, &a.ExpireIn)
		in.list(&a.Paths)
		in.list(&a.Exclude)
	}
	out.Caches = slices.Clone(j.Caches)
	for i := range out.Caches {
		c := &out.Caches[i]
		in.texts(&c.Key, &c.Mode, &c.When)
		in.list(&c.Paths)
		in.list(&c.FallbackKeys)
	}
	if in.err != nil {
		return nil, in.err
	}
	return &out, nil
}

// An interpolation replaces expressions until the first that makes no sense.
type interpolation struct {
	inputs map[string]Input
	err    error
}

func (in *interpolation) image(i *Image) {
	in.texts(&i.Name, &i.User)
	in.list(&i.Entrypoint)
	in.list(&i.PullPolicies)
}

func (in *interpolation) list(list *[]string) {
	*list = slices.Clone(*list)
	for i := range *list {
		in.texts(&(*list)[i])
	}
}

func (in *interpolation) texts(texts ...*string) {
	for _, text := range texts {
		if in.err == nil && strings.Contains(*text, expressionOpen) {
			*text, in.err = in.replace(*text)
		}
	}
}

func (in *interpolation) replace(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, expressionOpen)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if !isAboutInputs(rest) {
			out.WriteString(expressionOpen)
			text = rest
			continue
		}
		expression, behind, closed := strings.Cut(rest, expressionClose)
		if !closed {
			return "", inputError(InputSyntax, "%s has no end: write ${{ job.inputs.<name> }}", quotedExpression(expressionOpen+rest))
		}
		value, err := in.evaluate(expression)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = behind
	}
}

// isAboutInputs reports whether what follows an opening is meant for us.
func isAboutInputs(rest string) bool {
	behind, ours := strings.CutPrefix(strings.TrimLeft(rest, " \t\r\n"), inputsObject)
	return ours && (behind == "" || !isKeyByte(behind[0]))
}

func isKeyByte(b byte) bool {
	return b == '_' || b == '-' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func (in *interpolation) evaluate(expression string) (string, error) {
	shown := quotedExpression(expressionOpen + expression + expressionClose)
	key, ok := strings.CutPrefix(strings.TrimSpace(expression), inputsObject+".")
	if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return r > 0x7f || !isKeyByte(byte(r)) }) {
		return "", inputError(InputSyntax, "%s is not understood: write ${{ job.inputs.<name> }}", shown)
	}
	input, ok := in.inputs[key]
	switch {
	case !ok:
		return "", inputError(InputUnknown, "%s: the job has no input %q; declare it in the job's inputs, or set %s=false to keep such text as it is", shown, key, flagInputs)
	case input.Sensitive:
		return "", inputError(InputSensitive, "%s: the input is sensitive, and would be readable in the job's definition; use a masked variable", shown)
	}
	value, ok := input.text()
	if !ok {
		return "", inputError(InputValue, "%s: the input's value is not of its type %q", shown, input.Type)
	}
	return value, nil
}

// maxShownExpression keeps a message to a line.
const maxShownExpression = 80

func quotedExpression(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxShownExpression {
		text = strings.ToValidUTF8(text[:maxShownExpression], "") + "…"
	}
	return text
}

// text is the value as it stands in a text: a string as it is, everything else
// as JSON without white space.
func (i Input) text() (string, bool) {
	content := bytes.TrimSpace([]byte(i.Content))
	if len(content) == 0 {
		return "", false
	}
	switch first := content[0]; i.Type {
	case InputString:
		var text string
		err := json.Unmarshal(content, &text)
		return text, err == nil && first == '"'
	case InputBoolean:
		return string(content), string(content) == "true" || string(content) == "false"
	case InputNumber:
		return string(content), (first == '-' || '0' <= first && first <= '9') && json.Valid(content)
	case InputArray:
		return compact(content, first == '[')
	case InputStruct:
		return compact(content, first == '{')
	}
	return "", false
}

func compact(content []byte, ok bool) (string, bool) {
	var out bytes.Buffer
	if !ok || json.Compact(&out, content) != nil {
		return "", false
	}
	return out.String(), true
}
