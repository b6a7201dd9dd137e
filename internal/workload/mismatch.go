package workload

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MismatchError says that a value has another type than Kubernetes gives it.
type MismatchError struct {
	// Elements are the member names and indexes that lead to the value.
	Elements []string
	// Problem says what it is and what it must be, such as "is a list, must be an object".
	Problem string
}

// Error implements error.
func (e *MismatchError) Error() string {
	if len(e.Elements) == 0 {
		return "it " + e.Problem
	}
	return fieldPath(e.Elements) + " " + e.Problem
}

// InWords returns a *MismatchError for what a JSON decoder found of another type, and any other
// error as it is. The decoder words such errors now one way, now another, and names types of Go.
// Within leads to what was decoded, if that is a part of the object.
func InWords(err error, within ...string) error {
	semantic := (*json.SemanticError)(nil)
	if !errors.As(err, &semantic) {
		return err
	}
	elements := slices.Clone(within)
	for element := range semantic.JSONPointer.Tokens() {
		elements = append(elements, element)
	}
	return &MismatchError{Elements: elements, Problem: mismatch(semantic)}
}

// fieldPath writes the elements of a JSON pointer as Plainspec writes field paths.
func fieldPath(elements []string) string {
	var b strings.Builder
	for _, element := range elements {
		switch _, err := strconv.Atoi(element); {
		case err == nil:
			b.WriteString("[" + element + "]")
		case strings.ContainsAny(element, "./[]"):
			b.WriteString("[" + strconv.Quote(element) + "]")
		case b.Len() > 0:
			b.WriteString("." + element)
		default:
			b.WriteString(element)
		}
	}
	return b.String()
}

// mismatch says in the manifest's words that a value has another type than Kubernetes gives it.
func mismatch(err *json.SemanticError) string {
	is, ok := kindNames[err.JSONKind]
	if err.Err != nil {
		return "cannot be read: " + strings.ReplaceAll(err.Err.Error(), "\n", " ")
	}
	if !ok || err.GoType == nil {
		return "cannot be read"
	}
	return "is " + is + ", must be " + typeName(err.GoType)
}

var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a text", '0': "a number", '{': "an object", '[': "a list",
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a number"
	}
}
