//go:build race

package simulation

// underRace: actors take turns, so the race detector finds no more in many storms than in
// few, and makes each ten times as long.
const underRace = true
