package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// The plot's measures, in pixels.
const (
	plotWidth   = 860
	panelTop    = 64
	panelHeight = 190
	panelGap    = 58
	left        = 52
	right       = 12
)

// head has the colours, light and dark. An image cannot see the page that it is on, so its colours follow the reader's system.
const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="%s">
<style>
  svg { --text: #1f2328; --grid: #d1d9e0; --p0: #8c959f; --p1: #54aeff; --p2: #0969da; --p3: #2da44e; --p4: #bf8700; --p5: #8250df }
  @media (prefers-color-scheme: dark) {
    svg { --text: #e6edf3; --grid: #3d444d; --p0: #6e7681; --p1: #1f6feb; --p2: #79c0ff; --p3: #3fb950; --p4: #d29922; --p5: #bc8cff }
  }
  text { fill: var(--text) } .grid { stroke: var(--grid) } .title { font-weight: 600 }
  .end { text-anchor: end } .mid { text-anchor: middle } .small { font-size: 10px }
</style>
`

const colours = 6

// panel is one figure of all policies and fleets.
type panel struct {
	title string
	value func(*Figures) float64
	label func(float64) string
	top   float64
	step  float64
}

// SVG writes a plot of the fleets of the real scheduler: the hit rate and the 95th percentile of job times, by policy.
func (r *Report) SVG(to io.Writer) error {
	if len(r.Measured) == 0 {
		return fmt.Errorf("the report has no fleet that the real scheduler placed jobs of")
	}
	panels := []panel{
		{"Jobs that find their project's cache", func(f *Figures) float64 { return 100 * f.best().HitRate },
			func(v float64) string { return fmt.Sprintf("%.0f%%", v) }, 100, 25},
		{"95th percentile of the time from push to end, in seconds", func(f *Figures) float64 { return f.best().P95 },
			func(v float64) string { return fmt.Sprintf("%.0f", v) }, 0, 0},
	}
	panels[1].top, panels[1].step = r.scale(panels[1].value)
	height := panelTop + len(panels)*(panelHeight+panelGap)
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, head, plotWidth, height, "Hit rate and 95th percentile of job times, by policy and fleet")
	r.legend(&b)
	for i, p := range panels {
		r.draw(&b, p, float64(panelTop+i*(panelHeight+panelGap)))
	}
	b.WriteString("</svg>\n")
	_, err := to.Write(b.Bytes())
	return err
}

// scale returns a round top of an axis, and the steps between its lines.
func (r *Report) scale(value func(*Figures) float64) (top, step float64) {
	most := 1.0
	for _, row := range r.Measured {
		for i := range row.Policies {
			most = max(most, value(&row.Policies[i]))
		}
	}
	step = math.Pow(10, math.Floor(math.Log10(most/2)))
	for most/step > 6 {
		step *= 2
	}
	return step * math.Ceil(most/step), step
}

func (r *Report) legend(b *bytes.Buffer) {
	x := float64(left)
	for i, f := range r.Measured[0].Policies {
		title := f.Title()
		_, _ = fmt.Fprintf(b, `<rect x="%.1f" y="14" width="12" height="12" fill="var(--p%d)"/><text x="%.1f" y="24">%s</text>`+"\n",
			x, i%colours, x+17, title)
		x += 38 + 6.6*float64(len(title))
	}
}

// draw draws a panel whose upper edge is at y.
func (r *Report) draw(b *bytes.Buffer, p panel, y float64) {
	_, _ = fmt.Fprintf(b, `<text class="title" x="%d" y="%.1f">%s</text>`+"\n", left, y-12, p.title)
	at := func(v float64) float64 { return y + panelHeight*(1-v/p.top) }
	for v := 0.0; v <= p.top; v += p.step {
		_, _ = fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/><text class="end" x="%d" y="%.1f">%s</text>`+"\n",
			left, at(v), plotWidth-right, left-6, at(v)+4, p.label(v))
	}
	group := float64(plotWidth-left-right) / float64(len(r.Measured))
	for i, row := range r.Measured {
		x := left + float64(i)*group
		bar := group * 0.84 / float64(len(row.Policies))
		for j := range row.Policies {
			v := p.value(&row.Policies[j])
			from := x + group*0.08 + float64(j)*bar
			_, _ = fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="var(--p%d)"><title>%s, %s: %s</title></rect>`+"\n",
				from, at(v), bar-1.5, y+panelHeight-at(v), j%colours, row.Cell, row.Policies[j].Title(), p.label(v))
			if bar >= 24 {
				_, _ = fmt.Fprintf(b, `<text class="mid small" x="%.1f" y="%.1f">%s</text>`+"\n", from+bar/2, at(v)-3, p.label(v))
			}
		}
		_, _ = fmt.Fprintf(b, `<text class="mid" x="%.1f" y="%.1f">%d nodes, %g</text>`+"\n", x+group/2, y+panelHeight+15, row.Nodes, row.Utilisation)
		if row.Requests != 1 {
			_, _ = fmt.Fprintf(b, `<text class="mid small" x="%.1f" y="%.1f">requests %g</text>`+"\n",
				x+group/2, y+panelHeight+28, row.Requests)
		}
	}
}
