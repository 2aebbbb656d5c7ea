// Package e2e proves the product's promises on real binaries, real containerd and
// real network namespaces. Every scenario is one file named by its promise; the
// lab, the processes and the clients are in the files without a promise. It is a
// black box: nothing of the product is imported but its wire types.
package e2e
