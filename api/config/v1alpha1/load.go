package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// maxFileSize bounds what Load reads, in bytes: the size limit of a ConfigMap, where the file comes from in a cluster.
const maxFileSize = 1 << 20

// Load reads the configuration file at path, sets its defaults and validates it. Each error names the file; those of
// decoding and validation also name the field.
func Load(path string) (*Configuration, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	defer func() { _ = file.Close() }() // Nothing was written, so nothing can be lost.

	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("load configuration %s: larger than %d bytes", path, maxFileSize)
	}
	c, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("load configuration %s: %w", path, err)
	}
	return c, nil
}

// Decode reads a configuration from one YAML or JSON document, sets its defaults and validates it.
func Decode(data []byte) (*Configuration, error) {
	if err := checkDocument(data); err != nil {
		return nil, oneLine(err)
	}
	document, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, oneLine(err)
	}
	if err := checkKind(document); err != nil {
		return nil, err
	}

	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(schema.GroupVersion{Group: GroupName, Version: Version}, &Configuration{})
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	c := &Configuration{}
	if _, _, err := codecs.UniversalDeserializer().Decode(document, nil, c); err != nil {
		return nil, decodeError(document, err)
	}
	SetDefaults(c)
	if errs := Validate(c); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	return c, nil
}

// checkDocument reports whether data is exactly one document without duplicate fields. A decoder reads the first document
// and ignores the rest: rules in a second one would be dropped without a word. It names a duplicate by its line only.
func checkDocument(data []byte) error {
	decoder := yamlv3.NewDecoder(bytes.NewReader(data))
	var documents []*yamlv3.Node
	for {
		document := &yamlv3.Node{}
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !isEmpty(document) {
			documents = append(documents, document)
		}
	}
	switch len(documents) {
	case 0:
		return fmt.Errorf("file is empty: write at least apiVersion: %s and kind: %s", APIVersion, Kind)
	case 1:
		return errors.Join(duplicates(documents[0], "")...)
	default:
		return fmt.Errorf("file has %d documents: write exactly one", len(documents))
	}
}

// isEmpty reports whether a document holds nothing but comments.
func isEmpty(document *yamlv3.Node) bool {
	return len(document.Content) == 0 || (document.Content[0].Kind == yamlv3.ScalarNode && document.Content[0].Value == "")
}

// duplicates returns one error for each field under node that is written again. Aliases are not followed: what they
// point at is looked at where it is written.
func duplicates(node *yamlv3.Node, path string) []error {
	if node.Kind != yamlv3.MappingNode {
		var errs []error
		for i, child := range node.Content {
			childPath := path
			if node.Kind == yamlv3.SequenceNode {
				childPath = fmt.Sprintf("%s[%d]", path, i)
			}
			errs = append(errs, duplicates(child, childPath)...)
		}
		return errs
	}
	var errs []error
	lines := make(map[string]int, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 { // A mapping's content alternates between keys and values.
		key := node.Content[i]
		childPath := strings.TrimPrefix(path+"."+key.Value, ".")
		if first, ok := lines[key.Value]; ok {
			errs = append(errs, fmt.Errorf("duplicate field %q in lines %d and %d", childPath, first, key.Line))
		} else {
			lines[key.Value] = key.Line
		}
		errs = append(errs, duplicates(node.Content[i+1], childPath)...)
	}
	return errs
}

func checkKind(document []byte) error {
	var meta runtime.TypeMeta
	if err := json.Unmarshal(document, &meta); err != nil {
		return fmt.Errorf("document is not an object with apiVersion: %s and kind: %s", APIVersion, Kind)
	}
	if meta.APIVersion != APIVersion {
		return fmt.Errorf("apiVersion: is %q, must be %q", meta.APIVersion, APIVersion)
	}
	if meta.Kind != Kind {
		return fmt.Errorf("kind: is %q, must be %q", meta.Kind, Kind)
	}
	return nil
}

// decodeError says what is wrong with a document: the decoder's own words are about Go types, and about an amount it
// does not even say where it stands.
func decodeError(document []byte, err error) error {
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		return oneLine(errors.Join(strict.Errors()...))
	}
	typeErr := new(json.UnmarshalTypeError)
	switch {
	case errors.As(err, &typeErr):
		return fmt.Errorf("%s: is of type %s, must be of type %s", place(document, typeErr.Field), typeErr.Value, jsonType(typeErr.Type.Kind()))
	case errors.Is(err, resource.ErrFormatWrong), errors.Is(err, resource.ErrNumeric), errors.Is(err, resource.ErrSuffix):
		return fmt.Errorf("%s: is no amount, write one such as 100m, 0.5 or 64Mi", place(document, "amount"))
	default:
		return oneLine(err)
	}
}

// place is the path of the first value in a document that does not decode, in the form of validation's paths; it is
// otherwise if that cannot be told.
func place(document []byte, otherwise string) string {
	semantic := new(jsonv2.SemanticError)
	if err := jsonv2.Unmarshal(document, new(Configuration)); !errors.As(err, &semantic) || semantic.JSONPointer == "" {
		return otherwise
	}
	var path strings.Builder
	for token := range semantic.JSONPointer.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case err == nil, strings.ContainsAny(token, "./"):
			path.WriteString("[" + token + "]")
		case path.Len() > 0:
			path.WriteString("." + token)
		default:
			path.WriteString(token)
		}
	}
	return path.String()
}

// jsonType returns JSON's name for the only kinds of values that a Configuration is made of.
func jsonType(kind reflect.Kind) string {
	switch kind {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "array"
	case reflect.Int64:
		return "integer"
	default:
		return kind.String()
	}
}

// oneLine folds an error's text into a line, since the server writes one line and exits.
func oneLine(err error) error {
	if !strings.Contains(err.Error(), "\n") {
		return err
	}
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return errors.New(strings.ReplaceAll(strings.Join(parts, "; "), ":; ", ": "))
}
