package validate

import (
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema is the JSON schema of Input, as policies/schema/input.json publishes it.
func Schema() ([]byte, error) {
	schema, err := jsonschema.For[Input](nil)
	if err != nil {
		return nil, fmt.Errorf("derive schema: %w", err)
	}
	noNulls(schema)
	schema.Title = "The input of Plainspec's policies"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(text, '\n'), nil
}

// noNulls takes null out of the types of lists: encode leaves a list out or writes an empty one.
func noNulls(s *jsonschema.Schema) {
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	if s.Items != nil {
		noNulls(s.Items)
	}
	for _, property := range s.Properties {
		noNulls(property)
	}
}
