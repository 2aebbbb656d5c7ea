package containerd

import (
	"sync"

	"github.com/runway-platform/runway/agent/runtime"
)

// changes knows the containers that are being made or removed. List must not take their half-made parts for leftovers,
// whenever in its reading it meets them.
type changes struct {
	mu       sync.Mutex
	underway map[runtime.ContainerID]int
	surveys  map[*survey]struct{}
}

// survey is one reading of the node: it collects what changes from its begin to its end.
type survey struct {
	changed map[runtime.ContainerID]bool
}

func newChanges() *changes {
	return &changes{underway: map[runtime.ContainerID]int{}, surveys: map[*survey]struct{}{}}
}

// begin notes a change until the returned function is called.
func (c *changes) begin(id runtime.ContainerID) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underway[id]++
	for s := range c.surveys {
		s.changed[id] = true
	}
	return func() { c.end(id) }
}

func (c *changes) end(id runtime.ContainerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.underway[id]--; c.underway[id] == 0 {
		delete(c.underway, id)
	}
}

func (c *changes) beginSurvey() *survey {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &survey{changed: map[runtime.ContainerID]bool{}}
	for id := range c.underway {
		s.changed[id] = true
	}
	c.surveys[s] = struct{}{}
	return s
}

// endSurvey returns every container that changed meanwhile.
func (c *changes) endSurvey(s *survey) map[runtime.ContainerID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.surveys, s)
	return s.changed
}
