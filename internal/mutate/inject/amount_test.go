package inject

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

func TestExceeds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		amount, other string
		want          bool
	}{
		"a larger amount":                        {"1025Mi", "1Gi", true},
		"a smaller amount":                       {"1023Mi", "1Gi", false},
		"the same amount, written in two ways":   {"1024Mi", "1Gi", false},
		"a difference that a float has not":      {"9007199254740993", "9007199254740992", true},
		"an immense amount":                      {"1e99999999", "1", true},
		"an immense other amount":                {"1", "1e99999999", false},
		"two immense amounts are the same":       {"1e99999999", "1e400", false},
		"nothing of an immense unit":             {"0e99999999", "1", false},
		"more than nothing of an immense unit":   {"1", "0e99999999", true},
		"less than nothing":                      {"-1e99999999", "1", false},
		"less than nothing, and less of it":      {"-1", "-1e99999999", true},
		"nothing is not more than nothing":       {"0", "0e99999999", false},
		"nothing is more than less than nothing": {"0", "-1e99999999", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Exceeds(resource.MustParse(tc.amount), resource.MustParse(tc.other)); got != tc.want {
				t.Errorf("Exceeds(%s, %s) = %v, want %v", tc.amount, tc.other, got, tc.want)
			}
		})
	}
}
