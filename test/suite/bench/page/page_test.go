package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// What is committed of the last run that was recorded, and what the documentation shows of it.
const (
	committed = "../measured.json"
	document  = "../../../../docs/performance.md"
	images    = "../../../../docs/images"
)

var generatedPart = regexp.MustCompile(`(?s)<!-- generated: (\w+) -->\n.*?<!-- end -->`)

// TestThePageIsThatOfTheCommittedReport fails where one was changed without the other; -update writes the page and its plots.
func TestThePageIsThatOfTheCommittedReport(t *testing.T) {
	r, err := figures.ReadFile(committed)
	require.NoError(t, err)
	for file, write := range Plots(r) {
		text := ""
		if write != nil {
			text = written(t, write)
		}
		golden.Require(t, filepath.Join(images, file), text)
	}
	source, err := os.ReadFile(document)
	require.NoError(t, err)
	blocks := Blocks(r)
	golden.Require(t, document, generatedPart.ReplaceAllStringFunc(string(source), func(part string) string {
		name := generatedPart.FindStringSubmatch(part)[1]
		content, known := blocks[name]
		require.True(t, known, "no generated part is named %s", name)
		delete(blocks, name)
		return "<!-- generated: " + name + " -->\n" + content + "\n<!-- end -->"
	}))
	require.Empty(t, blocks, "parts that the page does not have")
}

// TestTheProfileIsShort keeps it something to read.
func TestTheProfileIsShort(t *testing.T) {
	text, err := os.ReadFile("../profile.txt")
	require.NoError(t, err)
	require.LessOrEqual(t, bytes.Count(text, []byte("\n")), 30)
	require.Contains(t, string(text), "go run ./test/suite/bench ")
	require.Contains(t, string(text), "webhook.(*Handler)")
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	return b.String()
}

// example is a report with a name that is no XML, and with a start that takes no longer than one that is not injected.
func example() *figures.Report {
	load := func(name string, floor, ours, typed float64) figures.Load {
		return figures.Load{Name: name, Runner: name == "arc", BodyBytes: 12_000, Rows: []figures.Row{
			{Server: figures.ServerFloor, CPUMicros: floor}, {Server: figures.ServerOurs, CPUMicros: ours},
			{Server: figures.ServerTyped, CPUMicros: typed},
		}}
	}
	creation := func(variant string, clients, milliseconds int) figures.CreationRow {
		return figures.CreationRow{Variant: variant, Title: "a " + variant, Clients: clients,
			Each: time.Duration(milliseconds) * time.Millisecond}
	}
	startup := func(name string, milliseconds ...int) figures.StartupVariant {
		v := figures.StartupVariant{Name: name, Pods: len(milliseconds)}
		for _, m := range milliseconds {
			v.All = append(v.All, time.Duration(m)*time.Millisecond)
		}
		v.Started = figures.TimesOf(v.All)
		return v
	}
	r := &figures.Report{
		Request: &figures.Request{Loads: []figures.Load{load("arc", 100, 199, 2000), load("a<b>&", 150, 1300, 21_000)},
			Decisions: []figures.Decision{{Review: "arc", Nanos: 20_500, Allocations: 31}}},
		Creation: &figures.Creation{Rows: []figures.CreationRow{
			creation(figures.CreationNone, 1, 5), creation(figures.CreationOurs, 1, 9), creation(figures.CreationPolicy, 1, 10),
			creation(figures.CreationNone, 8, 4), creation(figures.CreationOurs, 8, 8),
		}},
		Startup: &figures.Startup{Variants: []figures.StartupVariant{
			startup(figures.StartupBaseline, 1000, 1020, 1100), startup("injected", 1500, 1510, 2000), startup("image volume, no wait", 990),
		}},
	}
	r.Startup.Compare()
	r.Creation.Verdicts = []figures.Verdict{figures.AtMost(figures.PartCreation, "time", 0.9, 1, "")}
	return r
}

func TestPlotsAreImagesWithAllFigures(t *testing.T) {
	for file, wants := range map[string][]string{
		requestPlot:  {"100 µs", "199 µs", "2 ms", "1.3 ms", "21 ms", "arc, 12 KB", "a&lt;b&gt;&amp;"},
		creationPlot: {"1 client", "8 clients", "5.0 ms", "9.0 ms", "10.0 ms", "4.0 ms", "a policy"},
		startupPlot:  {"1.02 s", "1.51 s", "0.99 s", "image volume, no wait", "95th percentile"},
	} {
		write := Plots(example())[file]
		svg := written(t, write)
		require.Equal(t, svg, written(t, write))
		decoder := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, file)
		}
		require.NotContains(t, svg, "NaN")
		require.NotContains(t, svg, "Inf")
		for _, want := range append(wants, "prefers-color-scheme: dark", `role="img"`) {
			require.Contains(t, svg, want, file)
		}
	}
}

func TestPlotsOfNothingAreImagesToo(t *testing.T) {
	r := &figures.Report{Request: &figures.Request{}, Creation: &figures.Creation{}, Startup: &figures.Startup{}}
	for file, write := range Plots(r) {
		svg := written(t, write)
		require.NotContains(t, svg, "NaN", file)
		require.NoError(t, xml.Unmarshal([]byte(svg), new(struct{})), file)
	}
}

func TestSentencesHaveTheFiguresOfTheReport(t *testing.T) {
	blocks := Blocks(example())
	for name, want := range map[string]string{
		"limits":   "All 1 limits are kept.\n\n| area |",
		"request":  "a request costs 1.99 times the CPU of a server that does nothing, and 0.10 of that",
		"creation": "one with ours takes 0.90 with 1 client.",
		"startup":  "starts 0.49 s later than in a pod that is not injected",
		"replica":  notMeasured,
		"machine":  "| policies | | | | not measured |",
	} {
		require.Contains(t, blocks[name], want)
	}
	require.Contains(t, blocks["request"], "A core decides on 5,025 of them a second")
	missed := example()
	missed.Creation.Verdicts = append(missed.Creation.Verdicts, figures.AtMost(figures.PartCreation, "time", 1.1, 1, ""))
	require.Contains(t, Blocks(missed)["limits"], "1 of 2 limits are missed.")
}

func TestAxes(t *testing.T) {
	for _, most := range []float64{0, 0.003, 0.99, 1, 5.01, 12.16, 300} {
		a := linear(most, nil)
		require.GreaterOrEqual(t, a.to, most)
		require.LessOrEqual(t, len(a.ticks), 9, "up to %g", most)
	}
	a := logarithmic(95, 20_000, nil)
	require.Equal(t, []float64{100, 200, 500, 1000, 2000, 5000, 10_000, 20_000}, a.ticks)
	require.InDelta(t, 0.5, a.at(1167), 0.01)
	require.Zero(t, a.at(0))
}

func TestReportsWithHolesAreShown(t *testing.T) {
	for _, text := range []string{
		`{"request": {"loads": [null, {"name": "x", "runner": true, "rows": null}], "decisions": [{}]}}`,
		`{"policies": {"memory": null, "effects": [{}]}, "policiesMany": {"engines": 1}}`,
		`{"creation": {"rows": [{"variant": "ours", "eachNanos": 5}, {"variant": "policy"}, {}]}}`,
		`{"startup": {"variants": [{"name": "injected"}, {"name": "injected", "steps": [{}]}]}}`,
	} {
		r, err := figures.Read(strings.NewReader(text))
		require.NoError(t, err)
		require.Len(t, Blocks(r), 7)
		require.NoError(t, r.Emit(io.Discard, figures.OutputText, true))
		for _, write := range Plots(r) {
			if write != nil {
				require.NotContains(t, written(t, write), "NaN", text)
			}
		}
	}
}
