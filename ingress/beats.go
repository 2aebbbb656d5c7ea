package ingress

import "time"

// keptBeats are the newest beats whose answer is of use: older ones prove nothing
// by now.
const keptBeats = 8

// beats is when the newest beats of a stream were sent.
type beats [keptBeats]struct {
	sequence uint64
	at       time.Time
	// true: the routes of this session were in use when it was sent.
	synced bool
}

func (b *beats) sent(sequence uint64, at time.Time, synced bool) {
	beat := &b[sequence%keptBeats]
	beat.sequence, beat.at, beat.synced = sequence, at, synced
}

// answered takes note that the coordinator received a beat. It counts from when the
// beat was sent: the answer may have lain in a buffer while this process stood still.
func (f *following) answered(sequence uint64) {
	beat := f.beats[sequence%keptBeats]
	if beat.sequence == sequence && beat.synced {
		f.ingress.standing.Extend(beat.at)
	}
}
