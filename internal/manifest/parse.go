package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// parse adds the objects of one source.
func (b *Batch) parse(source string, data []byte) {
	roots, err := nodes(data)
	p := parser{batch: b, source: source}
	for _, root := range roots {
		p.root(root)
	}
	if err != nil {
		// An error at the end of the text is in its last line.
		last := bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) + 1
		b.problem(source, min(err.line, last), err.text)
	}
}

// syntaxError is where a source cannot be read any further.
type syntaxError struct {
	line int // 0 if it is not known
	text string
}

// nodes reads the documents of a source up to its first error. What starts like JSON is read as
// JSON first, as kubectl does: YAML takes neither its tabs nor its surrogate pairs.
func nodes(data []byte) (roots []*yaml.Node, err *syntaxError) {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, nil
	}
	if trimmed[0] != '{' && trimmed[0] != '[' {
		return yamlNodes(data)
	}
	roots, err = jsonNodes(data)
	if err == nil {
		return roots, nil
	}
	if flow, yamlErr := yamlNodes(data); yamlErr == nil {
		return flow, nil
	}
	return roots, err
}

// yamlLine finds the line in the texts of the YAML library's errors.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?(?:line (\d+): )?`)

// fromParser are the errors for which the library counts lines from 0 (yaml.v3 decode.go, parser.fail).
var fromParser = regexp.MustCompile(`^did not find expected (<|node content|'-'|key|',')`)

func newYAMLError(err error) *syntaxError {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(m[1]) // 0 where the error names none
	text = text[len(m[0]):]
	if fromParser.MatchString(text) {
		line++
	}
	return &syntaxError{line: line, text: "not YAML: " + text}
}

func yamlNodes(data []byte) (roots []*yaml.Node, err *syntaxError) {
	// The library reports errors by panics of its own, and lets others through.
	defer func() {
		if cause := recover(); cause != nil {
			err = &syntaxError{text: fmt.Sprintf("not YAML: %v", cause)}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return roots, newYAMLError(err)
		case document.Kind == yaml.DocumentNode && len(document.Content) == 1:
			roots = append(roots, document.Content[0])
		}
	}
}

// jsonReader makes nodes from JSON, so that all that follows sees one form.
type jsonReader struct {
	decoder *jsontext.Decoder
	data    []byte
	counted int64 // how many bytes of data line counts
	line    int
}

func jsonNodes(data []byte) (roots []*yaml.Node, err *syntaxError) {
	r := jsonReader{decoder: jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true)), data: data, line: 1}
	for {
		root, err := r.node()
		switch {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			text := err.Error()
			if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err, &syntactic) {
				r.advance(syntactic.ByteOffset)
				text = syntactic.Err.Error()
			}
			return roots, &syntaxError{line: r.line, text: "not JSON: " + strings.TrimPrefix(text, "jsontext: ")}
		}
		roots = append(roots, root)
	}
}

// advance moves line to where an offset of the data is.
func (r *jsonReader) advance(offset int64) {
	offset = min(offset, int64(len(r.data)))
	if offset > r.counted {
		r.line += bytes.Count(r.data[r.counted:offset], []byte("\n"))
		r.counted = offset
	}
}

func (r *jsonReader) node() (*yaml.Node, error) {
	token, err := r.decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	r.advance(r.decoder.InputOffset())
	node := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line, Style: yaml.TaggedStyle}
	switch token.Kind() {
	case '{':
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
		return node, r.children(node, '}')
	case '[':
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		return node, r.children(node, ']')
	case '"':
		node.Tag, node.Value = "!!str", token.String()
	case '0':
		node.Tag, node.Value = "!!float", token.String()
		if isInteger(node.Value) {
			node.Tag = "!!int"
		}
	case 'n':
		node.Tag, node.Value = "!!null", "null"
	default:
		node.Tag, node.Value = "!!bool", token.String()
	}
	return node, nil
}

// isInteger reports whether a number is one that an integer of 64 bits holds; the others are read
// as kubectl reads them, as floating-point numbers.
func isInteger(number string) bool {
	_, signed := strconv.ParseInt(number, 10, 64)
	_, unsigned := strconv.ParseUint(number, 10, 64)
	return signed == nil || unsigned == nil
}

func (r *jsonReader) children(node *yaml.Node, end jsontext.Kind) error {
	for r.decoder.PeekKind() != end {
		child, err := r.node()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		node.Content = append(node.Content, child)
	}
	_, err := r.decoder.ReadToken()
	return err
}

// parser adds the objects of one source to a batch.
type parser struct {
	batch  *Batch
	source string
	count  int
}

// root adds what one document holds.
func (p *parser) root(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return // nothing but comments
	}
	if err := p.normalize(node); err != nil {
		p.batch.problem(p.source, err.line, err.text)
		return
	}
	value, err := decode(node)
	if err != nil {
		p.batch.problem(p.source, max(err.line, node.Line), err.text)
		return
	}
	p.split(value, node, "", "")
}

func decode(node *yaml.Node) (value any, err *syntaxError) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &syntaxError{text: fmt.Sprintf("not YAML: %v", cause)}
		}
	}()
	if err := node.Decode(&value); err != nil {
		return nil, newYAMLError(err)
	}
	return value, nil
}

// split adds an object, or each item of a list. The items of a typed list, such as a PodList, need
// not say what they are: they get apiVersion and kind from the list.
func (p *parser) split(value any, node *yaml.Node, apiVersion, kind string) {
	object, ok := value.(map[string]any)
	if !ok {
		p.batch.problem(p.source, node.Line, "is "+describe(value)+", not an object with apiVersion and kind")
		return
	}
	for key, inherited := range map[string]string{"apiVersion": apiVersion, "kind": kind} {
		if _, ok := object[key]; !ok && inherited != "" {
			object[key] = inherited
		}
	}
	items, isList := object["items"].([]any)
	if !isList {
		p.add(object, node)
		return
	}
	listVersion, _ := object["apiVersion"].(string)
	listKind, _ := object["kind"].(string)
	itemKind, typed := strings.CutSuffix(listKind, "List")
	if !typed || itemKind == "" {
		listVersion, itemKind = "", ""
	}
	itemNode := func(i int) *yaml.Node { return child(child(node, "items"), strconv.Itoa(i)) }
	for i := range items {
		if p.count > mostObjects {
			return
		}
		p.split(items[i], itemNode(i), listVersion, itemKind)
	}
}

func describe(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case []any:
		return "a list"
	case string:
		return "a text"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}

// add adds one object.
func (p *parser) add(object map[string]any, node *yaml.Node) {
	if p.count++; p.count > mostObjects {
		p.batch.problem(p.source, node.Line, fmt.Sprintf("holds more than %d objects", mostObjects))
		return
	}
	d := Document{Source: p.source, Index: p.count - 1, Line: node.Line, node: node}
	for _, field := range []struct {
		key  string
		into *string
	}{{"apiVersion", &d.APIVersion}, {"kind", &d.Kind}} {
		switch value := object[field.key].(type) {
		case string:
			*field.into = value
		case nil:
		default:
			p.batch.problem(p.source, d.LineOf(field.key), field.key+" is "+describe(value)+", not a text")
			return
		}
		if *field.into == "" {
			p.batch.problem(p.source, node.Line, "has no "+field.key)
			return
		}
	}
	if metadata, ok := object["metadata"].(map[string]any); ok {
		d.Namespace, _ = metadata["namespace"].(string)
		d.Name, _ = metadata["name"].(string)
		if prefix, _ := metadata["generateName"].(string); d.Name == "" && prefix != "" {
			d.Name = prefix + "*"
		}
	}
	var err error
	if d.Object, err = json.Marshal(object); err != nil {
		p.batch.problem(p.source, node.Line, err.Error())
		return
	}
	p.batch.Documents = append(p.batch.Documents, d)
}
