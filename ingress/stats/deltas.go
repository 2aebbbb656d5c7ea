package stats

import "time"

// Deltas gives what was counted between two calls of Next. It belongs to one
// goroutine.
type Deltas struct {
	recorder *Recorder
	last     map[Key]Counts
	taken    time.Time
}

// NewDeltas returns Deltas that start at this moment.
func NewDeltas(r *Recorder) *Deltas {
	d := &Deltas{recorder: r, last: map[Key]Counts{}}
	d.Next()
	return d
}

// Since is when the counts begin that Next will return.
func (d *Deltas) Since() time.Time { return d.taken }

// Next returns the series that changed since the call before, or that have
// requests in flight now or had some then. Counts are differences, InFlight is
// not.
func (d *Deltas) Next() []Counts {
	var changed []Counts
	next := make(map[Key]Counts, len(d.last))
	for _, now := range d.recorder.Snapshot() {
		old := d.last[now.Key]
		next[now.Key] = now
		delta := now.Since(old)
		if delta.Total() > 0 || now.InFlight != 0 || old.InFlight != 0 {
			changed = append(changed, delta)
		}
	}
	d.last, d.taken = next, time.Now()
	return changed
}

// Forget drops the series that keep refuses, that have nothing in flight and
// whose counts Next has given out, so that revisions which are gone do not stay
// for ever. A request that begins there at that very moment is not counted.
func (d *Deltas) Forget(keep func(Key) bool) {
	d.recorder.series.Range(func(k, value any) bool {
		key := k.(Key)
		now := value.(*Series).counts(key)
		if now.InFlight == 0 && !keep(key) && now.Total() == d.last[key].Total() {
			d.recorder.series.Delete(key)
			delete(d.last, key)
		}
		return true
	})
}
