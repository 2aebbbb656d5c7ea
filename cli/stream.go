package cli

import (
	"context"
	"errors"
	"io"
)

// receiver is an open stream of answers.
type receiver[M any] interface{ Recv() (M, error) }

// stream passes on every message of a stream to its end. One that is followed is
// opened again when the connection or the leader is lost; open continues from what
// was taken before.
func stream[M any](ctx context.Context, a *app, follow bool, open func(context.Context) (receiver[M], error), take func(M) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := a.Now()
	for {
		messages, err := open(ctx)
		for err == nil {
			var message M
			if message, err = messages.Recv(); err != nil {
				break
			}
			heard = a.Now()
			if failed := take(message); failed != nil {
				return failed
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case !follow, ctx.Err() != nil, !passing(err), a.Now().Sub(heard) > silenceLimit:
			return err
		}
		pause(ctx, watchPause)
	}
}
