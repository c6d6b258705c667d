// Package truncate bounds texts that quote what others wrote.
package truncate

import "strings"

const ellipsis = "..."

// Text returns a text of most bytes at most: itself, or its beginning and an ellipsis, without half a character between.
func Text(text string, most int) string {
	if len(text) <= most {
		return text
	}
	if most < len(ellipsis) {
		return ""
	}
	return strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
}
