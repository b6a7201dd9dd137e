package inject

import (
	"math"

	"k8s.io/apimachinery/pkg/api/resource"
)

// comparedExactly is the size below which amounts are compared exactly. That writes both out, which
// takes minutes for 1e99999999, and the API server admits such amounts.
const comparedExactly = 1e30

// Exceeds reports whether an amount is larger than another one. Those that no machine has are
// compared by about what they are.
func Exceeds(amount, other resource.Quantity) bool {
	if a, b := amount.Sign(), other.Sign(); a != b || a == 0 {
		return a > b
	}
	a, b := amount.AsApproximateFloat64(), other.AsApproximateFloat64()
	if math.Abs(a) < comparedExactly && math.Abs(b) < comparedExactly {
		return amount.Cmp(other) > 0
	}
	return a > b
}
