package policy

import (
	"maps"
	"slices"
)

// Names returns the keys of an object in the set's data, sorted: Names("catalog", "tools") are the
// keys of data.catalog.tools. It is empty where there is no object.
func (s *Set) Names(path ...string) []string {
	return slices.Sorted(maps.Keys(s.object(path)))
}

// Flags returns an object of booleans in the set's data; members of another type are left out.
func (s *Set) Flags(path ...string) map[string]bool {
	flags := make(map[string]bool)
	for key, value := range s.object(path) {
		if flag, ok := value.(bool); ok {
			flags[key] = flag
		}
	}
	return flags
}

// Texts returns an object of strings in the set's data; members of another type are left out.
func (s *Set) Texts(path ...string) map[string]string {
	texts := make(map[string]string)
	for key, value := range s.object(path) {
		if text, ok := value.(string); ok {
			texts[key] = text
		}
	}
	return texts
}

func (s *Set) object(path []string) map[string]any {
	node := s.data
	for _, element := range path {
		node, _ = node[element].(map[string]any) // nil, without keys, if it is no object
	}
	return node
}
