package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// oldBooleans are plain words that kubectl's YAML takes for booleans and this library for text.
var oldBooleans = map[string]string{
	"y": "true", "Y": "true", "yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"n": "false", "N": "false", "no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}

// normalize makes a tree mean what it means to kubectl: keys are texts, the last of duplicate keys
// counts (with a warning), a date is a text, and yes is true. Aliases are not followed: what they
// point at is looked at where it is written.
func (p *parser) normalize(node *yaml.Node) *syntaxError {
	if node.Kind == yaml.ScalarNode && node.Style&yaml.TaggedStyle == 0 {
		if boolean, ok := oldBooleans[node.Value]; ok && node.Style == 0 {
			node.Tag, node.Value = "!!bool", boolean
		}
		if node.ShortTag() == "!!timestamp" {
			node.Tag = "!!str"
		}
	}
	if node.Kind == yaml.MappingNode {
		if err := p.keys(node); err != nil {
			return err
		}
	}
	for i, content := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key, seen by keys
		}
		if err := p.normalize(content); err != nil {
			return err
		}
	}
	return nil
}

// keys makes a mapping's keys texts, and takes out all but the last of the same key.
func (p *parser) keys(node *yaml.Node) *syntaxError {
	last := make(map[string]int, len(node.Content)/2)
	duplicate := false
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return &syntaxError{line: key.Line, text: "a field's name is no text"}
		}
		if key.ShortTag() == "!!merge" {
			continue
		}
		key.Tag = "!!str"
		if first, ok := last[key.Value]; ok {
			duplicate = true
			p.batch.Problems = append(p.batch.Problems, Problem{
				Source: p.source, Line: key.Line, Warning: true,
				Text: fmt.Sprintf("field %q is also in line %d: the last one counts, as for kubectl", key.Value, node.Content[first].Line),
			})
		}
		last[key.Value] = i
	}
	if !duplicate {
		return nil
	}
	kept := node.Content[:0:0]
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if at, ok := last[key.Value]; !ok || at == i || key.ShortTag() == "!!merge" {
			kept = append(kept, key, node.Content[i+1])
		}
	}
	node.Content = kept
	return nil
}

// LineOf is the line where a field such as spec.containers[0].image or
// metadata.labels["app.kubernetes.io/version"] is written; that of the nearest field above it, if
// it is not there.
func (d *Document) LineOf(field string) int {
	_, line := d.find(field)
	return line
}

// Has reports whether a field, written as for LineOf, is there.
func (d *Document) Has(field string) bool {
	node, _ := d.find(field)
	return node != nil
}

// find is the node of a field, nil if it is not there, and the line of the nearest one that is.
func (d *Document) find(field string) (node *yaml.Node, line int) {
	node, line = d.node, d.Line
	for node != nil && field != "" {
		node, line, field = step(resolve(node), field, line)
	}
	return node, line
}

// LineOfPointer is LineOf for the elements of a JSON pointer.
func (d *Document) LineOfPointer(elements []string) int {
	node, line := d.node, d.Line
	for _, element := range elements {
		key, value := member(node, element)
		if value == nil {
			break
		}
		line = key.Line
		node = value
	}
	return line
}

// step goes from a node to the field that a path starts with, and returns the rest of the path.
// A key may hold dots, which the path does not quote in the options of volumes: the longest key
// that the path can start with is meant.
func step(node *yaml.Node, field string, line int) (next *yaml.Node, at int, rest string) {
	field = strings.TrimPrefix(field, ".")
	if strings.HasPrefix(field, "[") {
		element, after, found := strings.Cut(field[1:], "]")
		if quoted, err := strconv.QuotedPrefix(field[1:]); err == nil {
			element, _ = strconv.Unquote(quoted) // QuotedPrefix has found it valid
			after, found = strings.CutPrefix(field[1+len(quoted):], "]")
		}
		key, value := member(node, element)
		if !found || value == nil {
			return nil, line, ""
		}
		return value, key.Line, after
	}
	longest := ""
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		after, ok := strings.CutPrefix(field, name)
		if ok && len(name) > len(longest) && (after == "" || after[0] == '.' || after[0] == '[') {
			longest = name
		}
	}
	if longest == "" { // perhaps merged in from elsewhere, by a name without dots
		longest, _, _ = strings.Cut(field, ".")
		longest, _, _ = strings.Cut(longest, "[")
	}
	key, value := member(node, longest)
	if value == nil {
		return nil, line, ""
	}
	return value, key.Line, field[len(longest):]
}

// child is the value of a mapping's key or of a sequence's index, the node itself if it has none.
func child(node *yaml.Node, element string) *yaml.Node {
	if _, value := member(node, element); value != nil {
		return value
	}
	return node
}

// member is a mapping's key with its value, or for both an element of a sequence; nil if there is
// none.
func member(node *yaml.Node, element string) (key, value *yaml.Node) {
	return memberWithin(node, element, deepestMerge)
}

// deepestMerge bounds merges of merges: a merge may name itself.
const deepestMerge = 16

func memberWithin(node *yaml.Node, element string, depth int) (key, value *yaml.Node) {
	node = resolve(node)
	switch node.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(element); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], resolve(node.Content[i])
		}
	case yaml.MappingNode:
		return mappingMember(node, element, depth)
	}
	return nil, nil
}

func mappingMember(node *yaml.Node, element string, depth int) (key, value *yaml.Node) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
		} else if key.Value == element {
			return key, resolve(value)
		}
	}
	if depth == 0 {
		return nil, nil
	}
	for _, merge := range slices.Backward(merges) {
		sources := []*yaml.Node{merge}
		if merge = resolve(merge); merge.Kind == yaml.SequenceNode {
			sources = merge.Content
		}
		for _, source := range sources {
			if key, value = memberWithin(source, element, depth-1); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		return node.Alias
	}
	return node
}
