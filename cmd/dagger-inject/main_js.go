package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"syscall/js"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// main gives the page in which it runs a function daggerInject(args, namespace). The args are a command line, as an array of strings;
// its files are those of the page's fs. The namespace, if not empty, is a file with a Namespace, whose name, labels and annotations
// become flags. The function returns the command line with those flags, the exit code, and what was written:
// {args, code, out, err}.
func main() {
	// The heap is small, and every command line makes much that is garbage at once.
	debug.SetGCPercent(800)
	parse = remembering(parseDocuments)
	js.Global().Set("daggerInject", js.FuncOf(func(_ js.Value, values []js.Value) any {
		args := make([]any, values[0].Length())
		for i := range args {
			args[i] = values[0].Index(i).String()
		}
		args, code, out, report := runInPage(args, values[1].String())
		return map[string]any{"args": args, "code": code, "out": out, "err": report}
	}))
	select {}
}

func runInPage(args []any, namespace string) (all []any, code int, out, report string) {
	var o, e bytes.Buffer
	if namespace != "" {
		flags, err := namespaceFlags(namespace)
		if err != nil {
			complain(&e, err)
			return args, exitBadInput, "", e.String()
		}
		for _, flag := range flags {
			args = append(args, flag)
		}
	}
	line := make([]string, len(args))
	for i := range args {
		line[i] = args[i].(string)
	}
	code = run(context.Background(), line, streams{in: strings.NewReader(""), out: &o, err: &e})
	return args, code, o.String(), e.String()
}

// namespaceFlags returns the flags that say what the Namespace in a file says.
func namespaceFlags(file string) ([]string, error) {
	objects, err := readObjects([]string{file}, nil)
	if err != nil {
		return nil, err
	}
	if kind, _ := objects[0].Get("kind").Str(); kind != "Namespace" || len(objects) > 1 {
		return nil, badInputf("%s: line 1: want one object of kind Namespace, with its name, labels and annotations", file)
	}
	var ns corev1.Namespace
	if err := yaml.UnmarshalStrict([]byte(objects[0].Text()), &ns); err != nil {
		return nil, badInputf("%s: %w", file, err)
	}
	var flags []string
	if ns.Name != "" {
		flags = append(flags, "--namespace", ns.Name)
	}
	flags = appendPairs(flags, "--namespace-labels", ns.Labels)
	return appendPairs(flags, "--namespace-annotations", ns.Annotations), nil
}

// appendPairs appends a flag for each pair. The flag reads a value with several equals signs as comma-separated.
func appendPairs(flags []string, flag string, pairs map[string]string) []string {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		pair := key + "=" + pairs[key]
		if strings.Count(pair, "=") > 1 {
			var b strings.Builder
			w := csv.NewWriter(&b)
			_ = w.Write([]string{pair}) // a strings.Builder takes everything
			w.Flush()
			pair = strings.TrimSuffix(b.String(), "\n")
		}
		flags = append(flags, flag, pair)
	}
	return flags
}

// addForClusters adds nothing: no cluster can be reached from a page.
func addForClusters(*cobra.Command, streams) {}

func (f *explainFlags) connect(*explain.Explainer) error {
	return fmt.Errorf("no cluster can be reached from a page")
}

func (a *clusterAccess) contextNamespace() string { return "default" }
