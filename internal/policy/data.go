package policy

import (
	"maps"
	"slices"
)

// Names returns the keys of an object in the set's data, sorted: Names("catalog", "tools") are the
// keys of data.catalog.tools. It is empty where there is no object.
func (s *Set) Names(path ...string) []string {
	node := s.data
	for _, element := range path {
		node, _ = node[element].(map[string]any) // nil, without keys, if it is no object
	}
	return slices.Sorted(maps.Keys(node))
}
