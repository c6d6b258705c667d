package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/patch"
)

func TestRememberedDocumentsAreThoseOfTheText(t *testing.T) {
	parsed := 0
	parse := remembering(func(name string, text []byte) ([]document, error) {
		parsed++
		return parseDocuments(name, text)
	})
	text := []byte("# a pod\nkind: Pod\nmetadata: {name: a}\n---\n{\"kind\": \"Pod\"}\n")
	want, err := parseDocuments("pod.yaml", text)
	require.NoError(t, err)
	for range 3 {
		got, err := parse("pod.yaml", text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got[1] = document{}
	}
	require.Equal(t, 1, parsed)

	named, err := parse("other.yaml", text)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(named[0].name, "other.yaml"))
	for range 2 {
		_, err = parse("pod.yaml", []byte("kind: ["))
		require.ErrorContains(t, err, "pod.yaml: document 1")
	}
	require.Equal(t, 4, parsed, "errors are not remembered")

	for n := range remembered {
		_, err := parse("pod.yaml", fmt.Appendf(nil, "kind: Pod%d\n", n))
		require.NoError(t, err)
	}
	_, err = parse("pod.yaml", text)
	require.NoError(t, err)
	require.Equal(t, 4+remembered+1, parsed, "what was used long ago is forgotten")
}

func TestRememberedDocumentsStayAsTheyAre(t *testing.T) {
	parse := remembering(parseDocuments)
	for range 3 {
		documents, err := parse("pod.yaml", []byte("# a pod\nkind: Pod\nspec:\n  nodeName: a\n"))
		require.NoError(t, err)
		r := result{document: documents[0], operations: []patch.Operation{{Path: "/spec/hostname", Value: patch.String("b")}}}
		after, err := r.injected()
		require.NoError(t, err)
		require.Equal(t, "# a pod\nkind: Pod\nspec:\n  nodeName: a\n  hostname: b\n", string(after))
		before, err := r.yaml()
		require.NoError(t, err)
		require.Equal(t, "# a pod\nkind: Pod\nspec:\n  nodeName: a\n", string(before))
	}
}
