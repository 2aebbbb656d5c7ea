package state

import (
	"strings"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// WorkloadID is a workload's key as one word: "space/service/environment". The
// parts are DNS labels and therefore hold no slash.
type WorkloadID string

// IDOf returns the word for a key; empty for an absent key.
func IDOf(key *runwayv1.WorkloadKey) WorkloadID {
	if key == nil {
		return ""
	}
	return WorkloadID(key.GetSpace() + "/" + key.GetService() + "/" + key.GetEnvironment())
}

// Key returns the parts. Parts that a malformed word lacks are empty.
func (id WorkloadID) Key() *runwayv1.WorkloadKey {
	space, rest, _ := strings.Cut(string(id), "/")
	service, environment, _ := strings.Cut(rest, "/")
	return &runwayv1.WorkloadKey{Space: space, Service: service, Environment: environment}
}
