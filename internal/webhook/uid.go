package webhook

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"k8s.io/apimachinery/pkg/types"
)

// uidWithin is how many bytes of a review are read for its request's uid. The API server writes it
// before all else of the request (k8s.io/api/admission/v1), so a kilobyte would do.
const uidWithin = 64 << 10

// readUID reads a review as far as its request's uid, and returns it; false if there is none.
func readUID(review io.Reader) (types.UID, bool) {
	decoder := jsontext.NewDecoder(io.LimitReader(review, uidWithin))
	if !enter(decoder, "request") || !enter(decoder, "uid") || decoder.PeekKind() != '"' {
		return "", false
	}
	token, err := decoder.ReadToken()
	if err != nil || token.String() == "" {
		return "", false
	}
	return types.UID(token.String()), true
}

// enter reads an object as far as the value of one of its members; false if there is none.
func enter(decoder *jsontext.Decoder, member string) bool {
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return false
		}
		if name.String() == member {
			return true
		}
		if decoder.SkipValue() != nil {
			return false
		}
	}
	return false
}
