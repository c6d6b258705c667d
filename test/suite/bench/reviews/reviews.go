// Package reviews holds AdmissionReviews as a real API server sends them; test/suite/bench/record records them.
package reviews

import "embed"

// Files has every review, as NAME.json.
//
//go:embed *.json
var Files embed.FS
