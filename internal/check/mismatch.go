package check

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

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
		return strings.ReplaceAll(err.Error(), "\n", " ")
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
