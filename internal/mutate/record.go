package mutate

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"

	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// longestRecord is how many bytes of a record are read, and how many it may bring all annotations of
// an object to: what the API server lets them have together (TotalAnnotationSizeLimitB in
// k8s.io/apimachinery/pkg/api/validation).
const longestRecord = 256 << 10

// mostElements is how many elements a record names at the most: of each artifact an init container, a
// volume and a mount.
const mostElements = 3 * inject.ArtifactsAtMost

// record is the value of the annotation plainspec.dev/injected: what was completed in the Pod
// template, or in the object's own metadata, that carries it. What it names is Plainspec's as long
// as it is what it was.
type record struct {
	// Revision is that of the configuration that completed.
	Revision string `json:"revision"`
	// Elements are the hashes of what was injected, by its key: see initKey, volumeKey and mountKey.
	Elements map[string]string `json:"elements,omitempty"`
	// Labels are the labels that were set.
	Labels map[string]string `json:"labels,omitempty"`
	// Resources are the amounts that were filled in, such as limits.memory, by container.
	Resources map[string]map[string]string `json:"resources,omitempty"`
}

// readRecord reads the record among annotations; it is empty where there is none.
func readRecord(annotations map[string]string) (record, error) {
	text, ok := annotations[workload.InjectedAnnotation]
	if !ok {
		return record{}, nil
	}
	if len(text) > longestRecord {
		return record{}, errors.New("it is too long")
	}
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return record{}, fmt.Errorf("decode record: %w", err)
	}
	if len(r.Elements) > mostElements {
		return record{}, errors.New("it names more than is injected")
	}
	return r, nil
}

// empty reports whether nothing was completed.
func (r *record) empty() bool { return len(r.Elements)+len(r.Labels)+len(r.Resources) == 0 }

// same reports whether two records name the same, whatever their revisions.
func (r *record) same(other *record) bool {
	return maps.Equal(r.Elements, other.Elements) && maps.Equal(r.Labels, other.Labels) &&
		maps.EqualFunc(r.Resources, other.Resources, maps.Equal)
}

// text is the record as it is written: members and keys in a stable order, which is the standard
// library's.
func (r *record) text() (string, error) {
	text, err := stdjson.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode record: %w", err)
	}
	return string(text), nil
}

// The keys of what is injected.
const (
	initKeys   = "initContainers/"
	volumeKeys = "volumes/"
	mountKeys  = "mounts/"
)

func initKey(name string) string   { return initKeys + name }
func volumeKey(name string) string { return volumeKeys + name }
func mountKey(container, volume, at string) string {
	return mountKeys + container + "/" + volume + "@" + at
}

func describeAll(keys []string) []string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = describe(key)
	}
	return texts
}

// describe says an element's key in words.
func describe(key string) string {
	if name, ok := strings.CutPrefix(key, initKeys); ok {
		return fmt.Sprintf("init container %q", name)
	}
	if name, ok := strings.CutPrefix(key, volumeKeys); ok {
		return fmt.Sprintf("volume %q", name)
	}
	container, mount, _ := strings.Cut(strings.TrimPrefix(key, mountKeys), "/")
	_, at, _ := strings.Cut(mount, "@")
	return fmt.Sprintf("mount %q of container %q", at, container)
}
