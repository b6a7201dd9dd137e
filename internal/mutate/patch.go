package mutate

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	evanphx "github.com/evanphx/json-patch/v5"
	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
)

// Apply applies a result's patch to the object that it was made for. The rest of the object stays
// as it is written.
func (r *Result) Apply(object []byte) ([]byte, error) {
	if len(r.Patch) == 0 {
		return object, nil
	}
	text, err := json.Marshal(r.Patch)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	patch, err := evanphx.DecodePatch(text)
	if err != nil {
		return nil, fmt.Errorf("decode patch: %w", err)
	}
	options := evanphx.NewApplyOptions()
	options.EscapeHTML = false
	completed, err := patch.ApplyWithOptions(object, options)
	if err != nil {
		return nil, fmt.Errorf("apply patch: %w", err)
	}
	return completed, nil
}

// pointer adds elements to the path of a value in a JSON document (RFC 6901).
func pointer(path string, elements ...string) string {
	for _, element := range elements {
		path = string(jsontext.Pointer(path).AppendToken(element))
	}
	return path
}

// difference is the operations that turn one decoded JSON value into another, in the order of their
// paths. Nil is a value that is absent; lists are replaced as a whole. (jsonpatch.CreatePatch gives
// its operations in another order each time.)
func difference(path string, before, after any) []jsonpatch.Operation {
	from, wasMap := before.(map[string]any)
	to, isMap := after.(map[string]any)
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, after)}
	case after == nil:
		return []jsonpatch.Operation{jsonpatch.NewOperation("remove", path, nil)}
	case !wasMap || !isMap:
		if reflect.DeepEqual(before, after) {
			return nil
		}
		return []jsonpatch.Operation{jsonpatch.NewOperation("replace", path, after)}
	}
	keys := maps.Clone(from)
	if keys == nil {
		keys = make(map[string]any, len(to))
	}
	maps.Copy(keys, to)
	var operations []jsonpatch.Operation
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		operations = append(operations, difference(pointer(path, key), from[key], to[key])...)
	}
	return operations
}

// textDifference is as difference, for labels or annotations, of which most stay the same.
func textDifference(path string, before, after map[string]string) []jsonpatch.Operation {
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, after)}
	case after == nil:
		return []jsonpatch.Operation{jsonpatch.NewOperation("remove", path, nil)}
	}
	changed := changedKeys(before, after)
	operations := make([]jsonpatch.Operation, len(changed))
	for i, key := range changed {
		_, was := before[key]
		value, is := after[key]
		switch at := pointer(path, key); {
		case !is:
			operations[i] = jsonpatch.NewOperation("remove", at, nil)
		case was:
			operations[i] = jsonpatch.NewOperation("replace", at, value)
		default:
			operations[i] = jsonpatch.NewOperation("add", at, value)
		}
	}
	return operations
}

// changedKeys are, sorted, the keys that only one of two maps has, or both with other values.
func changedKeys(before, after map[string]string) []string {
	var changed []string
	for key, value := range after {
		if was, ok := before[key]; !ok || was != value {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}
