// Package identity makes and checks everything that says who somebody is: the
// cluster's certificate authority, the certificates of its machines, the tokens of
// people and of joining machines, and the key that seals secrets at rest. It
// decides nothing about rights and keeps no state but its key file.
package identity
