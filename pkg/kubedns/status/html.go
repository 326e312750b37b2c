package status

import (
	"html"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// markup is HTML. Only constants have this type, so that text from other sources cannot become
// markup by mistake.
type markup string

// writer builds HTML.
type writer struct{ b strings.Builder }

// raw writes markup.
func (w *writer) raw(parts ...markup) {
	for _, p := range parts {
		w.b.WriteString(string(p))
	}
}

// maxText is the largest number of octets of one text that are shown.
const maxText = 2000

// text writes text from other sources: names, errors, the question. It cannot end an element or
// an attribute in double quotes, and cannot hide or reverse the text beside it.
func (w *writer) text(text string) {
	if len(text) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n] + "…"
	}
	w.b.WriteString(html.EscapeString(strings.Map(visible, text)))
}

// visible replaces a character that has no visible form, such as a control character or one
// that changes the direction of writing.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r == utf8.RuneError, !unicode.IsGraphic(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		return '\uFFFD'
	}
	return r
}

// cell writes a cell of a table; class may be "".
func (w *writer) cell(class markup, text string) {
	w.raw("<td")
	if class != "" {
		w.raw(` class="`, class, `"`)
	}
	w.raw(">")
	w.text(text)
	w.raw("</td>")
}

// header writes the header cell of a row.
func (w *writer) header(text string) {
	w.raw(`<th scope="row">`)
	w.text(text)
	w.raw("</th>")
}

// number writes a cell with a number.
func (w *writer) number(n uint64) { w.cell("number", strconv.FormatUint(n, 10)) }

// badge writes a coloured word. The colour adds nothing to the meaning of the word.
func (w *writer) badge(class markup, text string) {
	w.raw(`<span class="`, class, `">`)
	w.text(text)
	w.raw("</span>")
}

// state writes a cell with a badge for a good or a bad state.
func (w *writer) state(good bool, text string) {
	w.raw("<td>")
	if good {
		w.badge("ok", text)
	} else {
		w.badge("bad", text)
	}
	w.raw("</td>")
}

// table begins a table that scrolls if it is too wide. End it with endTable.
func (w *writer) table(id, caption markup, heads ...markup) {
	w.raw(`<div class="scroll" role="region" tabindex="0" aria-labelledby="`, id, `"><table><caption id="`, id, `">`, caption, `</caption><thead><tr>`)
	for _, h := range heads {
		w.raw(`<th scope="col">`, h, "</th>")
	}
	w.raw("</tr></thead><tbody>\n")
}

func (w *writer) endTable() { w.raw("</tbody></table></div>\n") }

// more writes how many rows are hidden, if any, and where they can be seen.
func (w *writer) more(hidden int, where markup) {
	if hidden > 0 {
		w.raw("<p>")
		w.text(strconv.Itoa(hidden))
		w.raw(" more are not shown: ", where, "</p>\n")
	}
}

// age writes a cell that tells how long ago t was, and t itself. A zero t is shown as "never".
func (w *writer) age(now, t time.Time) {
	w.raw(`<td class="short">`)
	w.ago(now, t)
	w.raw("</td>")
}

// ago writes how long ago t was.
func (w *writer) ago(now, t time.Time) {
	if t.IsZero() {
		w.raw("never")
		return
	}
	w.raw(`<time datetime="`)
	w.text(t.UTC().Format(time.RFC3339))
	w.raw(`">`)
	w.text(span(now.Sub(t)))
	w.raw(" ago</time>")
}

// span returns a duration in one or two units, such as "3 d 4 h".
func span(d time.Duration) string {
	d = max(d.Round(time.Second), 0)
	two := func(a time.Duration, nameA string, b time.Duration, nameB string) string {
		text := strconv.FormatInt(int64(d/a), 10) + " " + nameA
		if rest := d % a / b; rest > 0 {
			text += " " + strconv.FormatInt(int64(rest), 10) + " " + nameB
		}
		return text
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + " s"
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < day:
		return two(time.Hour, "h", time.Minute, "min")
	}
	return two(day, "d", time.Hour, "h")
}
