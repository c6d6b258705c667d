package page

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// The plots' measures, in pixels.
const (
	width      = 860
	right      = 126 // room for the label of the longest bar
	rowHeight  = 26
	barHeight  = 15
	titleSpace = 34
	axisSpace  = 34
	// letter is how wide a letter is, about.
	letter = 6.4
)

// head has the colours, light and dark. An image cannot see the page that it is on, so its colours follow the reader's system.
const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="%s">
<style>
  svg { --text: #1f2328; --faint: #59636e; --grid: #d1d9e0; --plain: #8c959f; --ours: #0969da; --other: #bf8700 }
  @media (prefers-color-scheme: dark) {
    svg { --text: #e6edf3; --faint: #9198a1; --grid: #3d444d; --plain: #7d8590; --ours: #58a6ff; --other: #d29922 }
  }
  text { fill: var(--text) } .faint { fill: var(--faint) } .grid { stroke: var(--grid) } .title { font-weight: 600 }
  .line { stroke: var(--text); stroke-width: 1.5; fill: none } .end { text-anchor: end } .mid { text-anchor: middle }
</style>
`

// The colours of what is shown.
const (
	plain = "plain" // what others are compared with
	ours  = "ours"
	other = "other"
)

// plot is rows of marks, in panels with one axis.
type plot struct {
	title  string
	legend []key
	panels []panel
	axis   axis
}

// key is an entry of the legend. Its mark is a bar or a line if it has no colour.
type key struct{ name, colour string }

type panel struct {
	title string
	rows  []row
}

// row has bars, of one mark, or dots.
type row struct {
	name  string
	marks []mark
}

// mark is a bar up to a value, or a dot at it.
type mark struct {
	value  float64
	label  string
	colour string
	dot    bool
	// before puts a dot's label to its left.
	before bool
	// until ends a line that begins at the value, if it is greater.
	until float64
}

// axis maps values to the plot's width.
type axis struct {
	from, to float64 // from is 0 unless it is logarithmic
	ticks    []float64
	label    func(float64) string
	log      bool
}

// linear returns an axis from 0 to a round value.
func linear(most float64, label func(float64) string) axis {
	most = max(most, 1e-9)
	step := math.Pow(10, math.Floor(math.Log10(most/2)))
	for most/step > 7 {
		step *= 2
	}
	a := axis{label: label, to: step * math.Ceil(most/step)}
	for i := 0; float64(i)*step <= a.to+step/2; i++ {
		a.ticks = append(a.ticks, float64(i)*step)
	}
	return a
}

// logarithmic returns an axis with a tick at each power of ten, and at twice and five times that.
func logarithmic(least, most float64, label func(float64) string) axis {
	least, most = max(least, 1e-9), max(most, least, 1e-9)
	a := axis{label: label, log: true, from: least * 0.55, to: most * 1.2}
	for power := math.Floor(math.Log10(a.from)); power <= math.Log10(a.to); power++ {
		for _, times := range []float64{1, 2, 5} {
			if tick := times * math.Pow(10, power); tick >= a.from && tick <= a.to {
				a.ticks = append(a.ticks, tick)
			}
		}
	}
	return a
}

// at is where a value is between 0 and 1.
func (a *axis) at(v float64) float64 {
	if a.log {
		return (math.Log(max(v, a.from)) - math.Log(a.from)) / (math.Log(a.to) - math.Log(a.from))
	}
	return v / a.to
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

// write writes the plot as SVG.
func (p *plot) write(to io.Writer) error {
	longest := 0
	height := 8.0
	if len(p.legend) > 0 {
		height += 24
	}
	for _, panel := range p.panels {
		height += titleSpace + float64(len(panel.rows)*rowHeight) + axisSpace
		for _, row := range panel.rows {
			longest = max(longest, len(row.name))
		}
	}
	left := 16 + letter*float64(longest)
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, head, width, height, escape(p.title))
	y := 8.0
	if len(p.legend) > 0 {
		p.drawLegend(&b, left, y)
		y += 24
	}
	for _, panel := range p.panels {
		p.draw(&b, panel, left, y)
		y += titleSpace + float64(len(panel.rows)*rowHeight) + axisSpace
	}
	b.WriteString("</svg>\n")
	_, err := to.Write(b.Bytes())
	return err
}

func (p *plot) drawLegend(b *bytes.Buffer, x, y float64) {
	for _, k := range p.legend {
		if k.colour == "" {
			_, _ = fmt.Fprintf(b, `<path class="line" d="M%.1f %.1fh14m0 -4v8"/>`, x-2, y+8)
		} else {
			_, _ = fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="12" height="12" rx="2" fill="var(--%s)"/>`, x, y+2, k.colour)
		}
		_, _ = fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`+"\n", x+18, y+12, escape(k.name))
		x += 40 + letter*float64(len(k.name))
	}
}

// draw draws a panel whose upper edge is at y.
func (p *plot) draw(b *bytes.Buffer, of panel, left, y float64) {
	_, _ = fmt.Fprintf(b, `<text class="title" x="%.1f" y="%.1f">%s</text>`+"\n", left, y+20, escape(of.title))
	y += titleSpace
	bottom := y + float64(len(of.rows)*rowHeight)
	x := func(v float64) float64 { return left + p.axis.at(v)*(width-left-right) }
	for _, tick := range p.axis.ticks {
		_, _ = fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fV%.1f"/><text class="mid faint" x="%.1f" y="%.1f">%s</text>`+"\n",
			x(tick), y-4, bottom, x(tick), bottom+16, escape(p.axis.label(tick)))
	}
	for i, row := range of.rows {
		middle := y + (float64(i)+0.5)*rowHeight
		_, _ = fmt.Fprintf(b, `<text class="end" x="%.1f" y="%.1f">%s</text>`+"\n", left-8, middle+4, escape(row.name))
		for _, m := range row.marks {
			m.draw(b, row.name, x, middle)
		}
	}
}

func (m *mark) draw(b *bytes.Buffer, name string, x func(float64) float64, middle float64) {
	at := x(m.value)
	title := escape(name + ": " + m.label)
	if m.dot {
		_, _ = fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="5.5" fill="var(--%s)"><title>%s</title></circle>`, at, middle, m.colour, title)
		label, class := at+10, ""
		if m.before {
			label, class = at-10, ` class="end"`
		}
		_, _ = fmt.Fprintf(b, `<text%s x="%.1f" y="%.1f">%s</text>`+"\n", class, label, middle+4, escape(m.label))
		return
	}
	_, _ = fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="var(--%s)"><title>%s</title></rect>`,
		x(0), middle-barHeight/2.0, max(at-x(0), 1), barHeight, m.colour, title)
	if end := x(m.until); end > at {
		_, _ = fmt.Fprintf(b, `<path class="line" d="M%.1f %.1fH%.1fm0 -4v8"/>`, at, middle, end)
		at = end
	}
	_, _ = fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`+"\n", at+7, middle+4, escape(m.label))
}
