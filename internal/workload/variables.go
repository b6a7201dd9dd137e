package workload

import (
	"strings"

	"plainspec.dev/plainspec/internal/redact"
)

// mostExpanded bounds how many bytes the values of one container's variables have in sum once the
// variables in them are expanded: values that name each other can grow without end.
const mostExpanded = 64 << 10

// variables are the environment variables of a container whose values stand in the manifest and are
// absolute paths. Others may be secrets, as may those whose name says so, and must not become a part of what is read here.
type variables struct {
	container *container
	values    map[string]string // nil until needed
}

// value is a variable's value, empty if it is no path that the manifest tells.
func (v *variables) value(name string) string {
	if name == "" {
		return ""
	}
	if v.values == nil {
		v.read()
	}
	return v.values[name]
}

// read expands each value with the variables before it, as the kubelet does.
func (v *variables) read() {
	v.values = make(map[string]string, len(v.container.Env))
	size := 0
	for i := range v.container.Env {
		e := &v.container.Env[i]
		value := e.Value
		if size < mostExpanded {
			value = v.expand(value)
			size += len(value)
		}
		if !strings.HasPrefix(value, "/") || redact.Sensitive(e.Name) {
			value = "" // also where the name had another value before
		}
		v.values[e.Name] = value
	}
}

// expandAll expands the words of a command in place.
func (v *variables) expandAll(argv []string) []string {
	for i := range argv {
		argv[i] = v.expand(argv[i])
	}
	return argv
}

// expand replaces $(NAME) by the variable's value, and $$ by $, as the kubelet does
// (k8s.io/kubernetes/third_party/forked/golang/expansion). Variables without a value stay, and so
// does a text that would become longer than what is read of a script.
func (v *variables) expand(text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	var b strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "$")
		b.WriteString(before)
		var name, end string
		switch {
		case !found:
			return b.String()
		case b.Len() > longestScript:
			return text
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			rest = after[1:]
			continue
		case strings.HasPrefix(after, "("):
			var closed bool
			if name, end, closed = strings.Cut(after[1:], ")"); !closed { // nor is any that follows
				b.WriteString("$" + after)
				return b.String()
			}
		}
		if value := v.value(name); value != "" {
			b.WriteString(value)
			rest = end
			continue
		}
		b.WriteByte('$')
		rest = after
	}
}
