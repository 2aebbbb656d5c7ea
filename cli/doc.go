// Package cli is runwayctl: one file per command. A command reads its flags, asks
// the coordinator and prints. It keeps no state and decides nothing that the
// coordinator could decide. Answers go to stdout; progress, warnings and failures
// go to stderr, whose last line after a failure is a stable code and a sentence.
package cli
