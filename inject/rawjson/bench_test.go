package rawjson_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/reviews"
)

// BenchmarkParse indexes what API servers send, and has the standard library check its syntax alone, for the ratio.
func BenchmarkParse(b *testing.B) {
	files, err := fs.Glob(reviews.Files, "*.json")
	require.NoError(b, err)
	for _, file := range files {
		text, err := reviews.Files.ReadFile(file)
		require.NoError(b, err)
		name := strings.TrimSuffix(file, ".json")
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var d rawjson.Document
			review := string(text)
			for b.Loop() {
				if _, err := d.Parse(review); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				json.Valid(text)
			}
		})
	}
}
