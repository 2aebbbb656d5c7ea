package consensus

import (
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// touch is a small command that leaves the size of the state as it is.
func touch() *runwayv1.PutSpace { return &runwayv1.PutSpace{Name: "touched"} }

// BenchmarkNode_Apply is one voter on a real disk: latency is the time of one
// caller, throughput that of many, whose commands share an fsync.
func BenchmarkNode_Apply(b *testing.B) {
	b.Run("one caller", func(b *testing.B) {
		n := start(b, onDisk(b.TempDir(), testLoggerToStderr()))
		for b.Loop() {
			if _, err := n.Apply(b.Context(), touch()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("128 callers", func(b *testing.B) {
		n := start(b, onDisk(b.TempDir(), testLoggerToStderr()))
		b.SetParallelism(64)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := n.Apply(b.Context(), touch()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
