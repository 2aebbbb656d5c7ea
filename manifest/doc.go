// Package manifest turns a service's runway.yml and env files into the spec of a
// revision. It reports every problem of a file at once, each with its place, a
// stable code and what to write instead. It never talks to a cluster and never
// guesses: what a manifest says either has its effect or is refused by name.
//
// One table, in fields.go, lists every field. Parsing, error messages and the
// reference page are made from it.
package manifest
