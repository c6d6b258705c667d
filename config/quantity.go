package config

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// maxQuantity is how many bytes a quantity may have. Those that Kubernetes writes have at most twenty.
	maxQuantity = 64
	// maxExponent is how many digits an exponent may have. Quantities end at 2^63-1, and at a billionth.
	maxExponent = 2
)

// ParseQuantity reads a quantity as Kubernetes does, as in 100m, 64Mi or 1e3. Kubernetes expands a number like 1e2147483648 to
// its last digit before it bounds it, which takes minutes. Tenants can write quantities, so ParseQuantity refuses an exponent
// of more than two digits.
func ParseQuantity(text string) (resource.Quantity, error) {
	if len(text) > maxQuantity {
		return resource.Quantity{}, fmt.Errorf("a quantity of %d bytes is too long: at most %d are read", len(text), maxQuantity)
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 && len(strings.TrimLeft(text[at+1:], "+-")) > maxExponent {
		return resource.Quantity{}, fmt.Errorf("an exponent of more than %d digits is out of range", maxExponent)
	}
	return resource.ParseQuantity(text)
}
