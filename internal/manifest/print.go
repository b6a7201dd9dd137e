package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// With returns a document whose object is another one, given as JSON, such as one made from it. It
// is of the same source; its fields have no lines of their own.
func (d *Document) With(object []byte) (Document, error) {
	root, err := jsonRoot(object)
	if err != nil {
		return Document{}, err
	}
	with := *d
	with.Object, with.node = object, root
	return with, nil
}

// YAML writes an object, given as JSON, as one document of YAML that kubectl reads as the same
// object. Fields are in alphabetical order, as kubectl prints them, and no line is folded.
func YAML(object []byte) ([]byte, error) {
	root, err := jsonRoot(object)
	if err != nil {
		return nil, err
	}
	dress(root)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// dress gives a tree that was read from JSON the form that people write: no tags, sorted fields,
// and quotes only where a text would be taken for something else.
func dress(node *yaml.Node) {
	node.Style = 0
	switch node.Kind {
	case yaml.MappingNode:
		fields := slices.Collect(slices.Chunk(node.Content, 2))
		slices.SortStableFunc(fields, func(a, b []*yaml.Node) int { return strings.Compare(a[0].Value, b[0].Value) })
		node.Content = slices.Concat(fields...)
	case yaml.ScalarNode:
		if node.Tag == "!!str" {
			node.Style = textStyle(node.Value)
		}
	}
	for _, content := range node.Content {
		dress(content)
	}
}

// sexagesimal is what old YAML takes for a number in base 60, such as a time or a port.
var sexagesimal = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// textStyle is how to write a text. The library quotes what its own YAML takes for something else,
// but for a merge; kubectl's and others' YAML is older.
func textStyle(text string) yaml.Style {
	_, boolean := oldBooleans[text]
	switch first, _, lines := strings.Cut(text, "\n"); {
	case boolean || text == "<<" || sexagesimal.MatchString(text):
		return yaml.DoubleQuotedStyle
	case !lines:
		return 0
	case first != "" && first[0] != ' ' && first[0] != '\t': // other blocks are not read everywhere
		return yaml.LiteralStyle
	default:
		return yaml.DoubleQuotedStyle
	}
}

// JSON writes an object, given as JSON, indented and with its fields in alphabetical order.
func JSON(object []byte) ([]byte, error) {
	value := jsontext.Value(bytes.Clone(object))
	if err := value.Format(jsontext.ReorderRawObjects(true), jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return append(value, '\n'), nil
}

func jsonRoot(object []byte) (*yaml.Node, error) {
	roots, err := jsonNodes(object)
	switch {
	case err != nil:
		return nil, errors.New(err.text)
	case len(roots) != 1:
		return nil, fmt.Errorf("holds %d objects, not one", len(roots))
	}
	return roots[0], nil
}
