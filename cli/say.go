package cli

import "fmt"

// ANSI sequences, used on terminals only.
const (
	ansiRed   = "\x1b[31m"
	ansiGreen = "\x1b[32m"
	ansiDim   = "\x1b[2m"
	ansiReset = "\x1b[0m"
	ansiErase = "\r\x1b[2K"
)

// redraws says whether a line of a stream may be written over.
func (a *app) redraws(terminal bool) bool { return terminal && a.env("TERM") != "dumb" }

// colourful says whether a stream may be coloured. See no-color.org.
func (a *app) colourful(terminal bool) bool {
	return a.redraws(terminal) && a.env("NO_COLOR") == ""
}

func (a *app) paint(colour, s string) string {
	if !a.colourful(a.StderrTerminal) {
		return s
	}
	return colour + s + ansiReset
}

// sayError writes a line about a failure to stderr. There is nowhere to report
// that it could not be written.
func (a *app) sayError(line string) {
	_, _ = fmt.Fprintln(a.Stderr, line)
}

// note writes a line about what happens to stderr.
func (a *app) note(line string) {
	if !a.globals.quiet {
		_, _ = fmt.Fprintln(a.Stderr, line)
	}
}

// warn writes a line about what the user may not expect.
func (a *app) warn(line string) {
	a.note(a.paint(ansiDim, "warning: "+line))
}

// sayBlock writes indented lines below a title; nothing without lines.
func (a *app) sayBlock(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	a.sayError(title + ":")
	for _, line := range lines {
		a.sayError("  " + clean(line))
	}
}
