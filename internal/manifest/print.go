package manifest

import (
	"bytes"
	"errors"
	"fmt"

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
	value, invalid := decode(root)
	if invalid != nil {
		return nil, errors.New(invalid.text)
	}
	var node yaml.Node
	if err := node.Encode(value); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	quoteMerges(&node)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&node); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// quoteMerges quotes the text "<<", which the library writes plain and reads as a merge.
func quoteMerges(node *yaml.Node) {
	if node.ShortTag() == "!!merge" {
		node.Tag, node.Style = "!!str", yaml.DoubleQuotedStyle
	}
	for _, content := range node.Content {
		quoteMerges(content)
	}
}

// JSON writes an object, given as JSON, indented and with its fields in alphabetical order.
func JSON(object []byte) ([]byte, error) {
	value := jsontext.Value(bytes.Clone(object))
	if err := value.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false), jsontext.WithIndent("  ")); err != nil {
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
