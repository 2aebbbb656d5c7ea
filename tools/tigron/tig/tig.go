// Package tig stands in for the package of the same name in nerdctl's test
// framework. The nerdctl command imports one helper that names this interface,
// and the framework's module is not published; nothing of it is ever called.
package tig

// T is the part of testing.T that nerdctl's compose helper names.
type T interface {
	Helper()
	FailNow()
	Fail()
	Log(args ...any)
	Name() string
	TempDir() string
}
