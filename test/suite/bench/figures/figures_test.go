package figures

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// example is a report of everything but the start.
func example() *Report {
	run := func(verdicts ...Verdict) Run {
		return Run{Machine: Machine{"A CPU", 2, 16 << 30, "Linux 6.1", "go1.26.0", 0.5, "2026-01-31"}, Verdicts: verdicts}
	}
	row := func(server string, cpu float64) Row {
		return Row{Server: server, Requests: 4000, CPUMicros: cpu, P50Micros: 900, P99Micros: 3100, PerSecond: 4500}
	}
	size := func(namespaces, engines int) *Policies {
		return &Policies{Namespaces: namespaces, Engines: engines, Ready: time.Second, EnginesKnown: 2 * time.Second,
			Memory:  []Reading{{"once ready", 50 << 20, 20 << 20, 30 << 20, 51 << 20}, {"after requests", 52 << 20, 22 << 20, 30 << 20, 54 << 20}},
			Effects: []Effect{{"a policy", 50, 5 * time.Millisecond, 9 * time.Millisecond, 10 * time.Millisecond}}, LookupNanos: 30}
	}
	r := &Report{
		Request: &Request{
			Run: run(AtMost(PartRequest, "CPU on arc", 2.1, 2, "floors"), AtMost(PartRequest, "growth", 9.5, 11, "")), Connections: 4,
			Loads: []Load{
				{Name: "arc", Runner: true, BodyBytes: 12345, PodBytes: 11000, ManagedBytes: 3000,
					Rows: []Row{row(ServerFloor, 100), row(ServerTyped, 2100), row(ServerOurs, 210)}},
				{Name: "mixed", BodyBytes: 54321, Rows: []Row{row(ServerFloor, 200), row(ServerTyped, 12000), row(ServerOurs, 640)}},
			},
			Decisions: []Decision{{"arc", 20500, 31}},
			Memory:    Memory{1000, 100000, 40 << 20, 44 << 20, 35 << 20, 36 << 20},
		},
		Policies: size(1000, 0), PoliciesMany: size(10000, 5000),
		Creation: &Creation{Run: run(AtMost(PartCreation, "1 client", 0.9, 1, "of the policy's")), Rounds: 15, Rows: []CreationRow{
			{CreationNone, "without a webhook", 1, 480, 5 * time.Millisecond, 6 * time.Millisecond, 4 * time.Millisecond, 0},
			{CreationOurs, "ours", 1, 480, 8 * time.Millisecond, 9 * time.Millisecond, 6 * time.Millisecond, 1},
			{CreationPolicy, "MutatingAdmissionPolicy", 1, 480, 9 * time.Millisecond, 10 * time.Millisecond, 9 * time.Millisecond, 0},
		}},
	}
	r.Policies.Run = run(AtMost(PartPolicies, "allocations", 0, 0, ""))
	r.PoliciesMany.Run = run(AtMost(PartPoliciesMany, "memory", 90, 96, "MiB"))
	return r
}

// exampleStartup is a start of two variants.
func exampleStartup() *Startup {
	s := &Startup{Variants: []StartupVariant{
		{Name: StartupBaseline, Pods: 2, All: []time.Duration{time.Second, 3 * time.Second},
			Steps: []StartupStep{{"pod created -> runner created", Times{1990 * time.Millisecond, time.Second}},
				{"runner created -> started", Times{10 * time.Millisecond, 11 * time.Millisecond}}}},
		{Name: "injected", Pods: 1, All: []time.Duration{2500 * time.Millisecond},
			Steps: []StartupStep{{"pod created -> dagger-wait created", Times{time.Second, time.Second}},
				{"dagger-wait created -> runner created", Times{1450 * time.Millisecond, 2 * time.Second}},
				{"runner created -> started", Times{50 * time.Millisecond, 60 * time.Millisecond}}}},
	}}
	for i := range s.Variants {
		s.Variants[i].Started = TimesOf(s.Variants[i].All)
	}
	s.Compare()
	s.Verdicts = []Verdict{AtMost(PartStartup, "later: injected", s.Variants[1].More.Seconds(), 0.5, "s")}
	return s
}

func text(t *testing.T, show func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, show(&b))
	return b.String()
}

func TestTheTableOfVerdictsNamesWhatIsMissing(t *testing.T) {
	r := example()
	golden.Require(t, "testdata/verdicts.txt", text(t, r.VerdictTable(map[string]string{PartStartup: "not run: it takes root"}).Text))
	r.Policies = nil
	markdown := r.VerdictTable(nil).Markdown()
	require.Contains(t, markdown, "| policies | not measured |  |  |  | missing |")
	require.Contains(t, markdown, "| startup | not measured |  |  |  | missing |")
}

func TestText(t *testing.T) {
	r := example()
	r.Startup = exampleStartup()
	golden.Require(t, "testdata/report.txt", text(t, func(to io.Writer) error { return r.Emit(to, OutputText, false) }))
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	r := example()
	r.Startup = exampleStartup()
	read, err := Read(strings.NewReader(text(t, r.JSON)))
	require.NoError(t, err)
	require.Equal(t, r, read)
}

func TestOnlyWholeAndTrueReportsAreRead(t *testing.T) {
	whole := text(t, example().JSON)
	for name, c := range map[string]struct{ report, says string }{
		"an unknown field":         {strings.Replace(whole, `"connections"`, `"conections"`, 1), `unknown field "conections"`},
		"half of one":              {whole[:len(whole)/2], "unexpected EOF"},
		"two":                      {whole + whole, "something follows it"},
		"nothing in it":            {"{}", "it has no part"},
		"nothing":                  {"", "EOF"},
		"a verdict made true":      {strings.Replace(whole, `"ok": false`, `"ok": true`, 1), "ratio 1.05, ok: true; by its figure 2.1"},
		"a figure changed":         {strings.Replace(whole, `"figure": 2.1`, `"figure": 1.1`, 1), "by its figure 1.1"},
		"a verdict somewhere else": {strings.Replace(whole, `"area": "creation"`, `"area": "startup"`, 1), `has the area "startup", want "creation"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.report))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestCheckFailsOnAnyMiss(t *testing.T) {
	r := example()
	require.NoError(t, r.Emit(io.Discard, OutputJSON, false))
	require.ErrorIs(t, r.Emit(io.Discard, OutputJSON, true), ErrMissed)
	require.ErrorIs(t, r.Emit(io.Discard, OutputText, true), ErrMissed)
	require.Len(t, r.Missed(), 1)
	r.Request = nil
	require.NoError(t, r.Emit(io.Discard, OutputText, true))
	require.ErrorContains(t, CheckOutput("yaml"), `-o "yaml" is not accepted: want text or json`)
}

func TestPartsAreReplacedWhole(t *testing.T) {
	r, newer := example(), example()
	newer.Creation.Rows = newer.Creation.Rows[:1]
	r.Take(&Report{Creation: newer.Creation, Startup: exampleStartup()})
	require.Len(t, r.Creation.Rows, 1)
	require.NotNil(t, r.Startup)
	require.Equal(t, example().Request, r.Request)
	all := &Report{}
	all.Take(r)
	require.Equal(t, r, all)
}

func TestAFigureThatIsNoNumberIsNotKept(t *testing.T) {
	require.False(t, AtMost("", "", math.NaN(), 1, "").OK)
	require.False(t, AtMost("", "", math.Inf(1), 1, "").OK)
	require.True(t, AtMost("", "", 0, 0, "").OK)
	require.False(t, AtMost("", "", 1, 0, "").OK)
}

func TestCounts(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567.6: "1,234,568", 100000: "100,000",
	} {
		require.Equal(t, want, Count(value))
	}
}

func TestTimes(t *testing.T) {
	var all []time.Duration
	for i := range 20 {
		all = append(all, time.Duration(20-i)*time.Second)
	}
	require.Equal(t, Times{10500 * time.Millisecond, 19 * time.Second}, TimesOf(all))
	require.Equal(t, Times{time.Second, time.Second}, TimesOf(all[19:]))
}

func TestStepsOfSeveralVariantsAreInTheirOrder(t *testing.T) {
	require.Equal(t, `| step | injected | not injected |
| --- | --- | --- |
| pod created -> runner created |  | 1990 ms |
| pod created -> dagger-wait created | 1000 ms |  |
| dagger-wait created -> runner created | 1450 ms |  |
| runner created -> started | 50 ms | 10 ms |`, exampleStartup().StepsTable("injected", "absent", StartupBaseline).Markdown())
}

func TestCellsStayInTheirTable(t *testing.T) {
	table := &Table{head: []string{"a"}}
	table.add("x | y\nz\t")
	require.Equal(t, "| a |\n| --- |\n| x \\| y z  |", table.Markdown())
}

func TestThisMachineIsDescribed(t *testing.T) {
	m, err := ThisMachine()
	require.NoError(t, err)
	require.NotEmpty(t, m.CPU)
	require.Positive(t, m.Cores)
	require.Greater(t, m.Memory, int64(1<<28))
	require.Contains(t, m.String(), ", Go 1.")
	require.Contains(t, m.Kernel, "Linux ")
	require.Len(t, m.Day, len(time.DateOnly))
}
