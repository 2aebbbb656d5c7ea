package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// stepSum is the agent's own measurement of what it does for replicas.
var stepSum = regexp.MustCompile(`^runway_agent_step_duration_seconds_sum\{step="([a-z]+)"\} (\S+)$`)

// stepTimes is the time spent in each kind of step so far.
type stepTimes map[string]time.Duration

// stepTimes asks the agent.
func (c *cluster) stepTimes(ctx context.Context) (stepTimes, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.agentMetrics+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask agent for metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask agent for metrics: %w", err)
	}
	defer answer.Body.Close()
	return readSteps(answer.Body)
}

func readSteps(text io.Reader) (stepTimes, error) {
	times := stepTimes{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		found := stepSum.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics of the agent: %w", err)
		}
		times[found[1]] = time.Duration(seconds * float64(time.Second))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics of the agent: %w", err)
	}
	return times, nil
}

// minus returns what was spent since before.
func (t stepTimes) minus(before stepTimes) stepTimes {
	spent := stepTimes{}
	for step, now := range t {
		spent[step] = now - before[step]
	}
	return spent
}
