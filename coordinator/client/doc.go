// Package client connects to the coordinators of a cluster: it finds the leader,
// proves who the caller is, and keeps a machine's certificate fresh. It is the one
// package of the coordinator that other components may import, and it imports only
// the API.
package client
