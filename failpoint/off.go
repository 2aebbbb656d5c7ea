//go:build !failpoint

package failpoint

// Planted is the point that this process breaks: none.
const Planted = None
