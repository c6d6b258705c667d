package config

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// maxQuantity is how many bytes of a quantity are read. What Kubernetes writes has twenty at most.
	maxQuantity = 64
	// maxExponent is how many digits of its exponent. Quantities end at 2^63-1, and at a billionth.
	maxExponent = 2
)

// ParseQuantity reads a quantity as Kubernetes does, as in 100m, 64Mi or 1e3. An error says what is wrong with the text. Who
// may write one must not be able to stop us: Kubernetes works a number like 1e2147483648 out to its last digit before it bounds
// it, for minutes, so that an exponent of more than two digits is refused here.
func ParseQuantity(text string) (resource.Quantity, error) {
	if len(text) > maxQuantity {
		return resource.Quantity{}, fmt.Errorf("a quantity of %d bytes is too long: at most %d are read", len(text), maxQuantity)
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 && len(strings.TrimLeft(text[at+1:], "+-")) > maxExponent {
		return resource.Quantity{}, fmt.Errorf("an exponent of more than %d digits is out of range", maxExponent)
	}
	return resource.ParseQuantity(text)
}
