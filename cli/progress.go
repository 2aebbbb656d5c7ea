package cli

import "fmt"

// defaultWidth is used when the terminal does not say how wide it is.
const defaultWidth = 80

// progress shows long work on stderr: finished steps stay, the present one is
// redrawn on a terminal and is one line per change elsewhere. One goroutine uses it.
type progress struct {
	a *app
	// last is the present step as it was shown.
	last  string
	drawn bool
}

func (a *app) newProgress() *progress { return &progress{a: a} }

// step shows a finished step.
func (p *progress) step(format string, args ...any) {
	p.clear()
	text := fmt.Sprintf(format, args...)
	if p.a.StderrTerminal {
		text = p.a.paint(ansiGreen, "✓") + " " + text
	}
	p.a.note(text)
}

// now shows the present step; the same text again is not repeated.
func (p *progress) now(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text == p.last || p.a.globals.quiet {
		return
	}
	p.last = text
	if !p.a.redraws(p.a.StderrTerminal) {
		p.a.note(text)
		return
	}
	p.drawn = true
	_, _ = fmt.Fprint(p.a.Stderr, ansiErase+p.a.paint(ansiDim, "… "+p.fit(text)))
}

// clear removes the present step from a terminal, so that another line can follow.
func (p *progress) clear() {
	if p.drawn {
		_, _ = fmt.Fprint(p.a.Stderr, ansiErase)
	}
	p.drawn, p.last = false, ""
}

// fit cuts text so that a redrawn line never wraps.
func (p *progress) fit(text string) string {
	columns := p.a.Width
	if columns <= 0 {
		columns = defaultWidth
	}
	const markAndMargin = 3
	runes := []rune(text)
	return string(runes[:min(len(runes), max(0, columns-markAndMargin))])
}
