package agent

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// openLogs asks for the logs of a replica, as the coordinator does.
func (c *connected) openLogs(stream, replica string, options *runwayv1.LogOptions) {
	request := &runwayv1.OpenLogs{Stream: stream, Replica: replica, Options: options, Deadline: durationpb.New(time.Second)}
	c.coordinator.send <- &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_OpenLogs{OpenLogs: request}}
}

// uploaded are the lines of one stream.
func (c *connected) uploaded(stream string) []string {
	c.coordinator.mu.Lock()
	defer c.coordinator.mu.Unlock()
	return slices.Clone(c.coordinator.streams[stream])
}

// A reader that follows a replica which is still pulled waits for its first line.
func TestUpload_FollowWaitsForTheFirstAttempt(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullTime: 10 * time.Second})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		c.until("pulling", time.Second, func() bool { return c.phase("a") == "PULLING" })
		c.openLogs("s1", "a", &runwayv1.LogOptions{Follow: true})
		c.until("ready", 15*time.Second, func() bool { return c.status("a").GetReady() })
		c.writes("a-0", "hello\n")
		c.until("first line", 2*time.Second, func() bool { return slices.Equal(c.uploaded("s1"), []string{"hello"}) })
	})
}

// Whoever follows a service asks for a replica as soon as it is placed, which its node may hear of a moment later. One that
// nobody ever assigns is refused all the same.
func TestUpload_FollowWaitsForAReplicaThatIsJustAssigned(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true))}
	}, func(t *testing.T, c *connected) {
		c.openLogs("s1", "a", &runwayv1.LogOptions{Follow: true})
		time.Sleep(time.Second)
		c.coordinator.send <- assigns(setOf(6, false, assignment("a", 20001)))
		c.until("ready", time.Second, func() bool { return c.status("a").GetReady() })
		c.writes("a-0", "hello\n")
		c.until("first line", 2*time.Second, func() bool { return slices.Equal(c.uploaded("s1"), []string{"hello"}) })
		c.openLogs("s2", "stranger", &runwayv1.LogOptions{Follow: true})
		c.until("refused", assignedWithin+time.Second, c.coordinator.read(func() bool {
			return c.coordinator.failure == `read logs of replica "stranger": no logs`
		}))
	})
}

// What explains a crash loop is the attempt that ended, not the one that waits for its back-off or will never come.
func TestUpload_CrashLoopShowsTheLastAttemptWithLines(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: time.Second, NeverListens: true})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		c.until("attempt 0", time.Second, func() bool { return c.phase("a") == "RUNNING" })
		c.writes("a-0", "first\n")
		c.until("back-off", 3*time.Second, func() bool { return c.status("a").GetAttempt() == 1 && c.phase("a") == "STARTING" })
		c.openLogs("s1", "a", &runwayv1.LogOptions{})
		c.openLogs("s2", "a", &runwayv1.LogOptions{Previous: true})
		c.until("lines of the attempt that ended", 300*time.Millisecond, func() bool {
			return slices.Equal(c.uploaded("s1"), []string{"first"}) && slices.Equal(c.uploaded("s2"), []string{"first"})
		})
		c.untilPhase("a", "FAILED", time.Minute) // attempt 1 wrote nothing
		c.openLogs("s3", "a", &runwayv1.LogOptions{})
		c.openLogs("s4", "a", &runwayv1.LogOptions{Previous: true})
		c.until("lines of the last attempt that wrote any", time.Second, func() bool {
			return slices.Equal(c.uploaded("s3"), []string{"first"}) && slices.Equal(c.uploaded("s4"), []string{"first"})
		})
	})
}

func TestUpload_NoEarlierAttempt(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		c.until("ready", time.Second, func() bool { return c.status("a").GetReady() })
		c.openLogs("s1", "a", &runwayv1.LogOptions{Previous: true})
		c.until("said so", time.Second, c.coordinator.read(func() bool {
			return c.coordinator.failure == `read logs of replica "a": no earlier attempt wrote any: no logs`
		}))
	})
}
