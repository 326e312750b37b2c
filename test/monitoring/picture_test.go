package monitoring

import (
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Sizes of the picture in pixels: of one unit of Grafana's grid, and of the margins in a
// panel.
const (
	gridX, gridY = 50, 26
	left, right  = 62, 10
	top, bottom  = 26, 40
)

var palette = []string{"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"}

// line is one series in a panel.
type line struct {
	name   string
	values [][2]float64 // time in seconds, number
}

// draw draws the dashboard's panels with what Prometheus has, as an SVG file, if the
// variable DASHBOARD_PICTURE names one: `DASHBOARD_PICTURE=/tmp/dashboard.svg go test
// ./test/monitoring`. Grafana itself is not needed. Each graph must have a line.
func draw(t *testing.T, p *prometheus, begin, end time.Time) {
	t.Helper()
	var b strings.Builder
	height := 0
	for _, panel := range panels(t) {
		height = max(height, (panel.GridPos.Y+panel.GridPos.H)*gridY)
		x, y := panel.GridPos.X*gridX, panel.GridPos.Y*gridY
		w, h := panel.GridPos.W*gridX, panel.GridPos.H*gridY
		if panel.Type == "row" {
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="row">%s</text>`+"\n", x+6, y+18, html.EscapeString(panel.Title))
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" class="panel"/><text x="%d" y="%d" class="title">%s</text>`+"\n",
			x+3, y+3, w-6, h-6, x+12, y+19, html.EscapeString(panel.Title))
		lines := series(t, p, &panel, begin, end)
		points := 0
		for _, l := range lines {
			points += len(l.values)
		}
		if points < 2 {
			t.Errorf("nothing to draw in %q", panel.Title)
			continue
		}
		if panel.Type == "stat" {
			last := lines[0].values[len(lines[0].values)-1][1]
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="stat">%s</text>`+"\n", x+w/2, y+h/2+14, label(last, panel.FieldConfig.Defaults.Unit))
			continue
		}
		graph(&b, lines, panel.FieldConfig.Defaults.Unit, [4]int{x + left, y + top, w - left - right, h - top - bottom})
	}
	picture := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">
<style>.panel{fill:#fff;stroke:#ccc}.row{font-size:14px;font-weight:bold}.title{font-weight:bold}.stat{font-size:30px;text-anchor:middle}.axis{fill:#666;text-anchor:end}</style>
<rect width="100%%" height="100%%" fill="#f4f5f5"/>
%s</svg>
`, 24*gridX, height+6, b.String())
	if path := os.Getenv("DASHBOARD_PICTURE"); path != "" {
		if err := os.WriteFile(path, []byte(picture), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// series asks for all lines of a panel.
func series(t *testing.T, p *prometheus, panel *panel, begin, end time.Time) []line {
	t.Helper()
	var lines []line
	for _, target := range panel.Targets {
		var answer struct{ Result []sample }
		p.get(t, "/api/v1/query_range", url.Values{
			"query": {expand(target.Expr)}, "step": {"1"}, "start": {fmt.Sprint(begin.Unix())}, "end": {fmt.Sprint(end.Unix())},
		}, &answer)
		for _, s := range answer.Result {
			l := line{name: target.LegendFormat}
			for key, value := range s.Metric {
				l.name = strings.ReplaceAll(l.name, "{{"+key+"}}", value)
			}
			for _, v := range s.Values {
				at, _ := v[0].(float64)
				number, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
				if err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
					l.values = append(l.values, [2]float64{at, number})
				}
			}
			if len(l.values) > 0 {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// graph draws lines into the box x, y, width, height.
func graph(b *strings.Builder, lines []line, unit string, box [4]int) {
	from, to, most := math.Inf(1), math.Inf(-1), 0.0
	for _, l := range lines {
		for _, v := range l.values {
			from, to, most = min(from, v[0]), max(to, v[0]), max(most, v[1])
		}
	}
	if most == 0 {
		most = 1
	}
	most *= 1.05
	for _, part := range []float64{0, 0.5, 1} {
		y := float64(box[1]) + float64(box[3])*(1-part)
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#eee"/><text x="%d" y="%.1f" class="axis">%s</text>`+"\n",
			box[0], box[0]+box[2], y, y, box[0]-4, y+4, label(most*part, unit))
	}
	legend := 0
	for i, l := range lines {
		color := palette[i%len(palette)]
		var path strings.Builder
		for _, v := range l.values {
			fmt.Fprintf(&path, "%.1f,%.1f ", float64(box[0])+(v[0]-from)/max(to-from, 1)*float64(box[2]), float64(box[1])+float64(box[3])*(1-v[1]/most))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), color)
		if width := 12 + 6*len(l.name); legend+width < box[2]+left-20 {
			fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", box[0]-left+14+legend, box[1]+box[3]+28, color, html.EscapeString(l.name))
			legend += width
		}
	}
}

// label writes a number with its unit.
func label(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.3g %%", v*100)
	case "bytes":
		return fmt.Sprintf("%.3g MiB", v/(1<<20))
	case "s":
		if v < 1 {
			return fmt.Sprintf("%.3g ms", v*1e3)
		}
		return time.Duration(v * 1e9).Round(100 * time.Millisecond).String()
	}
	return fmt.Sprintf("%.3g", v)
}
