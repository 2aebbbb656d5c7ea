package loop

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// applierFunc is an Applier for tests.
type applierFunc func(proto.Message) (command.Result, error)

func (f applierFunc) Apply(_ context.Context, payload proto.Message) (command.Result, error) {
	return f(payload)
}

func event(kind string) proto.Message {
	return &runwayv1.RecordEvents{Events: []*runwayv1.Event{{Kind: kind}}}
}

// looks runs a loop for a while of virtual time and returns when its plan was asked.
func looks(t *testing.T, during time.Duration, apply applierFunc, plan func(look int) []proto.Message) []time.Duration {
	t.Helper()
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		s := coordinatortest.NewState(t)
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		start := time.Now()
		err := Run(ctx, Config{
			Name: "test", Views: s.View, Tables: []state.Table{state.TableNodes}, Resync: 10 * time.Second,
			Applier: apply, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Plan: func(*state.View, time.Time) []proto.Message {
				at = append(at, time.Since(start))
				return plan(len(at))
			},
		})
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return at
}

func fine(proto.Message) (command.Result, error) { return command.Result{}, nil }

func TestRun_LooksAgainAtOnceAfterAWriteAndOtherwiseAtTheResync(t *testing.T) {
	at := looks(t, 25*time.Second, fine, func(look int) []proto.Message {
		if look == 1 {
			return []proto.Message{event("a")}
		}
		return nil
	})
	want := []time.Duration{0, 0, 10 * time.Second, 20 * time.Second}
	if len(at) != len(want) {
		t.Fatalf("looked at %v, want %v", at, want)
	}
	for i := range want {
		if at[i] != want[i] {
			t.Errorf("looked at %v, want %v", at, want)
		}
	}
}

func TestRun_OutlivesAPanicOfThePlan(t *testing.T) {
	at := looks(t, time.Second, fine, func(look int) []proto.Message {
		if look < 3 {
			panic("a defect")
		}
		return nil
	})
	if len(at) != 3 || at[1] != retryFirst || at[2] != 3*retryFirst {
		t.Errorf("looked at %v, want again after %s and twice that", at, retryFirst)
	}
}

func TestRun_WaitsLongerEachTimeForALogThatTakesNothing(t *testing.T) {
	refuse := func(proto.Message) (command.Result, error) { return command.Result{}, errors.New("not the leader") }
	at := looks(t, time.Minute, refuse, func(int) []proto.Message { return []proto.Message{event("a")} })
	if last := at[len(at)-1] - at[len(at)-2]; last != retryMost {
		t.Errorf("the last wait is %s, want %s", last, retryMost)
	}
	if len(at) > 40 {
		t.Errorf("looked %d times in a minute", len(at))
	}
}

func TestRun_RefusalsLeadToANewLookSoon(t *testing.T) {
	rejection := &command.Rejection{Message: "moved", Kind: command.ErrConflict}
	for name, answer := range map[string]func() (command.Result, error){
		"whole command": func() (command.Result, error) { return command.Result{}, rejection },
		"one item": func() (command.Result, error) {
			return command.Result{Value: &runwayv1.Refusals{Refused: []*runwayv1.Refusal{{Replica: "r1"}}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := looks(t, time.Second, func(proto.Message) (command.Result, error) { return answer() }, func(look int) []proto.Message {
				if look == 1 {
					return []proto.Message{event("a")}
				}
				return nil
			})
			if len(at) != 2 || at[1] != retryFirst {
				t.Errorf("looked at %v, want again after %s", at, retryFirst)
			}
		})
	}
}

func TestRun_RefusedCommandDoesNotKeepBackTheOthers(t *testing.T) {
	var mu sync.Mutex
	applied := map[string]int{}
	apply := func(payload proto.Message) (command.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		kind := payload.(*runwayv1.RecordEvents).GetEvents()[0].GetKind()
		applied[kind]++
		if kind == "poison" {
			return command.Result{}, &command.Rejection{Message: "never", Kind: command.ErrInvalid}
		}
		return command.Result{}, nil
	}
	looks(t, time.Second, apply, func(look int) []proto.Message {
		if look == 1 {
			return []proto.Message{event("poison"), event("sound")}
		}
		return nil
	})
	if applied["sound"] != 1 {
		t.Errorf("applied %v: the command behind the refused one is missing", applied)
	}
}

func TestRun_WakesByItsTablesAndByItsChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coordinatortest.NewState(t)
		wake := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Duration
		start := time.Now()
		var wait sync.WaitGroup
		wait.Go(func() {
			_ = Run(ctx, Config{ // returns nil only; checked above
				Name: "test", Views: s.View, Tables: []state.Table{state.TableNodes}, Resync: time.Hour,
				Wake: func() <-chan struct{} { return wake }, Applier: s, Log: slog.New(slog.DiscardHandler),
				Plan: func(*state.View, time.Time) []proto.Message { at = append(at, time.Since(start)); return nil },
			})
		})
		time.Sleep(time.Second) // virtual
		s.Must(t, coordinatortest.RegisterNode("n1"))
		time.Sleep(time.Second) // virtual
		s.Must(t, coordinatortest.RegisterIngress("i1"))
		time.Sleep(time.Second) // virtual
		wake <- struct{}{}
		synctest.Wait()
		cancel()
		wait.Wait()
		if len(at) != 3 || at[1] != time.Second || at[2] != 3*time.Second {
			t.Errorf("looked at %v, want at the start, at the node after 1s and at the channel after 3s", at)
		}
	})
}

// Who gives a loop its turns is told when the next one is due.
func TestLoop_LookSaysWhenTheNextIsDue(t *testing.T) {
	s := coordinatortest.NewState(t)
	wake := make(chan struct{})
	answers := []error{nil, errors.New("not the leader"), errors.New("not the leader"), nil}
	look := 0
	l := New(Config{
		Name: "test", Views: s.View, Tables: []state.Table{state.TableNodes}, Resync: time.Hour,
		Wake: func() <-chan struct{} { return wake }, Log: slog.New(slog.DiscardHandler),
		Applier: applierFunc(func(proto.Message) (command.Result, error) { return command.Result{}, answers[look-1] }),
		Plan: func(*state.View, time.Time) []proto.Message {
			if look++; look == len(answers) {
				return nil
			}
			return []proto.Message{event("a")}
		},
	})
	for i, want := range []time.Duration{0, retryFirst, 2 * retryFirst, time.Hour} {
		due := l.Look(t.Context())
		if due.Within != want {
			t.Errorf("look %d: the next is due within %s, want %s", i+1, due.Within, want)
		}
		if deaf := answers[i] != nil; deaf != (due.Changed == nil) || deaf != (due.Wake == nil) {
			t.Errorf("look %d ended with %v: wakes by %v and %v", i+1, answers[i], due.Changed, due.Wake)
		}
	}
}
