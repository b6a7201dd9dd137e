package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

// FuzzDecode looks for files that crash the server at start, for errors of several lines, and for configurations that
// change when they are written and read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(header + "enforcement: enforce\nrules: {image.moving_tag: {mode: audit}}\n"))
	f.Add([]byte(header + "parameters: {a: [1, 1.5, null, {b: c}]}\ncontrollers: [{user: a}]\ncontact: hello\n"))
	f.Add([]byte(completion))
	f.Add([]byte(header + "completion: {profiles: [{init: {resources: {limits: {cpu: lots}}}}]}\n"))
	f.Add([]byte(header + "---\n" + header))
	f.Add([]byte(header + "parameters: {a: &x [1], b: *x, c: {<<: {d: 1}}}\n"))
	f.Add([]byte(`{"apiVersion":"config.plainspec.dev/v1alpha1","kind":"Configuration","x":{"y":1,"y":2}}`))
	f.Add([]byte("\xff\x00: ["))

	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := v1alpha1.Decode(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Decode() error has several lines: %q", err)
			}
			return
		}
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("encode a decoded configuration: %v", err)
		}
		again, err := v1alpha1.Decode(encoded)
		if err != nil {
			t.Fatalf("Decode(%s) error = %v", encoded, err)
		}
		encodedAgain, err := json.Marshal(again)
		if err != nil {
			t.Fatalf("encode a configuration again: %v", err)
		}
		if diff := cmp.Diff(string(encoded), string(encodedAgain)); diff != "" {
			t.Errorf("a configuration changed on its way through JSON (-first +second):\n%s", diff)
		}
	})
}
