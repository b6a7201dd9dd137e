package validate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWarningsGoOn(t *testing.T) {
	t.Parallel()
	words := func(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }
	tests := map[string]struct {
		texts []string
		want  []string
	}{
		"nothing":                     {},
		"what fits stays":             {texts: []string{strings.Repeat("ä", 120)}, want: []string{strings.Repeat("ä", 120)}},
		"a text breaks between words": {texts: []string{words(30)}, want: []string{words(24), "… " + words(6)}},
		"a word that is too long is broken": {
			texts: []string{strings.Repeat("ä", 240)}, want: []string{strings.Repeat("ä", 120), "… " + strings.Repeat("ä", 118), "… ää"},
		},
		"what never ends is cut": {
			texts: []string{strings.Repeat("x", 1000), "next"},
			want: []string{
				strings.Repeat("x", 120), "… " + strings.Repeat("x", 118), "… " + strings.Repeat("x", 118), "… " + strings.Repeat("x", 118),
				"… " + strings.Repeat("x", 117) + "…", "next",
			},
		},
		"what does not fit any more is counted as texts": {
			texts: slices.Repeat([]string{words(30)}, 12),
			want:  append(slices.Repeat([]string{words(24), "… " + words(6)}, 10), "plainspec: and 2 more"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Warnings(tc.texts)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			for _, warning := range got {
				if n := utf8.RuneCountInString(warning); n > longestWarning {
					t.Errorf("a warning has %d characters: %s", n, fmt.Sprintf("%.40s", warning))
				}
			}
		})
	}
}
