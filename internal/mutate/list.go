package mutate

import (
	"cmp"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonpatch "gomodules.xyz/jsonpatch/v2"
)

// list is a list of a Pod spec that holds the user's elements and ours. The user's are never
// removed, replaced or moved.
type list[T any] struct {
	path   string // JSON pointer
	stored []T
	raw    func(path string) (jsontext.Value, error) // as it is written, what is stored at a JSON pointer
	key    func(*T) string
	hash   func(*T) string
	// front is whether ours come before the user's elements, in the order of wanted. Otherwise new
	// ones come last, and those that are there stay where they are.
	front bool
	// altered reports whether an element had a hash before other admission plug-ins changed it; nil
	// if they change no such elements.
	altered func(stored *T, hash string) bool
	// keeps names the members of an element that somebody has set and that stay when the rest is
	// exchanged; nil if there are none.
	keeps func(stored *T) []string

	ours   []bool
	hashes []string // of ours among the stored elements, as they were injected
	wanted []T
	marks  []string // the hashes of wanted
}

// claim marks as ours the stored elements that a record names and that are what it says.
func (l *list[T]) claim(elements map[string]string) {
	l.ours, l.hashes = make([]bool, len(l.stored)), make([]string, len(l.stored))
	if len(elements) == 0 {
		return
	}
	claimed := make(map[string]bool)
	for i := range l.stored {
		key := l.key(&l.stored[i])
		hash, ok := elements[key]
		if ok && !claimed[key] && (hash == l.hash(&l.stored[i]) || l.altered != nil && l.altered(&l.stored[i], hash)) {
			l.ours[i], l.hashes[i], claimed[key] = true, hash, true
		}
	}
}

// users are the elements that are not ours.
func (l *list[T]) users() []T {
	var rest []T
	for i := range l.stored {
		if !l.ours[i] {
			rest = append(rest, l.stored[i])
		}
	}
	return rest
}

// want says what is to be there of ours. A stored element that is the same is ours from now on:
// its record was lost.
func (l *list[T]) want(wanted []T) {
	l.wanted, l.marks = wanted, make([]string, len(wanted))
	for w := range wanted {
		key := l.key(&wanted[w])
		l.marks[w] = l.hash(&wanted[w])
		same := func(ours bool) int {
			for i := range l.stored {
				if l.ours[i] == ours && l.key(&l.stored[i]) == key && (ours || l.hash(&l.stored[i]) == l.marks[w]) {
					return i
				}
			}
			return -1
		}
		if same(true) < 0 {
			if i := same(false); i >= 0 {
				l.ours[i], l.hashes[i] = true, l.marks[w]
			}
		}
	}
}

// index is where an element of a key is wanted, -1 if it is not.
func (l *list[T]) index(key string) int {
	return slices.IndexFunc(l.wanted, func(e T) bool { return l.key(&e) == key })
}

// kept says for each wanted element which stored one takes its place, -1 if a new one does.
func (l *list[T]) kept() []int {
	kept := slices.Repeat([]int{-1}, len(l.wanted))
	last := -1
	for i := range l.stored {
		if !l.ours[i] {
			if l.front {
				break // ours do not come after a user's
			}
			continue
		}
		w := l.index(l.key(&l.stored[i]))
		if w >= 0 && (w > last || !l.front) {
			kept[w], last = i, w
		}
	}
	return kept
}

// operations returns what makes the list what it is to be: first within its elements, by the
// indices that they have, then in the list itself.
func (l *list[T]) operations() (within, around []jsonpatch.Operation, err error) {
	kept := l.kept()
	left := len(l.stored)
	for i, ours := range slices.Backward(l.ours) {
		if ours && !slices.Contains(kept, i) {
			around = append(around, jsonpatch.NewOperation("remove", l.at(i), nil))
			left--
		}
	}
	var added []any
	for w, i := range kept {
		if i < 0 {
			value, err := l.moved(w)
			if err != nil {
				return nil, nil, err
			}
			added = append(added, value)
			if l.front {
				around = append(around, jsonpatch.NewOperation("add", l.at(w), value))
			} else {
				around = append(around, jsonpatch.NewOperation("add", l.path+"/-", value))
			}
			continue
		}
		edits, err := l.edit(i, w)
		if err != nil {
			return nil, nil, err
		}
		within = append(within, edits...)
	}
	switch {
	case len(l.stored) == 0 && len(added) > 0: // there may be no list to add to
		around = []jsonpatch.Operation{jsonpatch.NewOperation("add", l.path, added)}
	case len(l.stored) > 0 && left == 0 && len(added) == 0:
		around = []jsonpatch.Operation{jsonpatch.NewOperation("remove", l.path, nil)}
	}
	return within, around, nil
}

func (l *list[T]) at(i int) string { return l.path + "/" + strconv.Itoa(i) }

// moved is the value of a wanted element that is added: as it was stored, if it was there in
// another place.
func (l *list[T]) moved(w int) (any, error) {
	key := l.key(&l.wanted[w])
	for i := range l.stored {
		if !l.ours[i] || l.key(&l.stored[i]) != key {
			continue
		}
		if l.hashes[i] == l.marks[w] {
			return l.raw(l.at(i))
		}
		_, after, err := l.become(i, w)
		return after, err
	}
	return encoded(&l.wanted[w])
}

// edit turns a stored element into the wanted one.
func (l *list[T]) edit(i, w int) ([]jsonpatch.Operation, error) {
	if l.hashes[i] == l.marks[w] {
		return nil, nil
	}
	before, after, err := l.become(i, w)
	if err != nil {
		return nil, err
	}
	return difference(l.at(i), before, after), nil
}

// become is what a stored element was and is to be. Members that the API server and others have
// added stay, as long as the element is then the wanted one.
func (l *list[T]) become(i, w int) (before, after map[string]any, err error) {
	wanted, err := encoded(&l.wanted[w])
	if err != nil {
		return nil, nil, err
	}
	stored, err := l.raw(l.at(i))
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(json.Unmarshal(wanted, &after), json.Unmarshal(stored, &before)); err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", l.at(i), err)
	}
	both := make(map[string]any, len(before))
	maps.Copy(both, before)
	maps.Copy(both, after)
	if l.keeps != nil {
		for _, member := range l.keeps(&l.stored[i]) {
			both[member] = before[member]
		}
	}
	text, err := json.Marshal(both)
	if err != nil {
		return nil, nil, fmt.Errorf("encode %s: %w", l.at(i), err)
	}
	var merged T
	if err := json.Unmarshal(text, &merged); err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", l.at(i), err)
	}
	if l.hash(&merged) == l.marks[w] || l.altered != nil && l.altered(&merged, l.marks[w]) {
		return before, both, nil
	}
	return before, after, nil
}

// encoded is an element as a patch holds it, its members in the order of their names. The types of
// Kubernetes leave out what the standard library calls empty: an emptyDir of nothing is not.
func encoded(element any) (jsontext.Value, error) {
	text, err := stdjson.Marshal(element)
	if err != nil {
		return nil, fmt.Errorf("encode element: %w", err)
	}
	value := jsontext.Value(text)
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("encode element: %w", err)
	}
	return value, nil
}

// origins says, for each element of a list with ours in front, as it is to be, its index in the
// list as it came, -1 for a new one; nil if no index has changed.
func (l *list[T]) origins() []int {
	origins := l.kept()
	for i := range l.stored {
		if !l.ours[i] {
			origins = append(origins, i)
		}
	}
	same := len(origins) == len(l.stored)
	for i, origin := range origins {
		same = same && origin == i
	}
	if same {
		return nil
	}
	return origins
}

// record adds the hashes of what is wanted, by key.
func (l *list[T]) record(elements map[string]string) {
	for i := range l.wanted {
		elements[l.key(&l.wanted[i])] = l.marks[i]
	}
}

// changes are the keys of what is taken out, and of what a record names, is not wanted any more,
// and is not ours.
func (l *list[T]) changes(elements map[string]string) (removed, edited []string) {
	for i := range l.stored {
		key := l.key(&l.stored[i])
		if l.index(key) >= 0 {
			continue
		}
		if l.ours[i] {
			removed = append(removed, key)
		} else if _, ok := elements[key]; ok {
			edited = append(edited, key)
		}
	}
	return removed, edited
}
