package main

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// profilesPath is where profiles are, beside /metrics.
const profilesPath = "/debug/pprof/"

// profiles answers whoever is logged in to the machine, and nobody else: a profile
// shows memory and costs processor time, while a metrics port may be open to a network
// of scrapers. It asks for no credential, as the machine's user could read the process
// anyway.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(profilesPath, pprof.Index)
	mux.HandleFunc(profilesPath+"profile", pprof.Profile)
	mux.HandleFunc(profilesPath+"trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fromThisMachine(r) {
			http.Error(w, "profiles are for who is logged in to this machine: ask from there", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// fromThisMachine is true for a connection from loopback, or from the address that it
// was made to. No other machine can have either as its own.
func fromThisMachine(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	caller := remote.Addr().Unmap()
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return caller.IsLoopback() || ok && local.AddrPort().Addr().Unmap() == caller
}
