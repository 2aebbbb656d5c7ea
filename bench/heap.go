package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// heapParts are what a Go process says of its own memory: where anonymous memory goes.
var heapParts = []struct{ metric, name string }{
	{"go_memstats_heap_inuse_bytes", "heap in use"},
	{"go_memstats_heap_idle_bytes", "heap kept for later"},
	{"go_memstats_heap_released_bytes", "of it given back"},
	{"go_memstats_stack_inuse_bytes", "stacks"},
	{"go_goroutines", "goroutines"},
}

// heap is in bytes, goroutines aside.
type heap map[string]float64

// heapOf asks a process for its own account.
func heapOf(ctx context.Context, address string) (heap, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its memory: %w", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its memory: %w", address, err)
	}
	defer answer.Body.Close()
	return readHeap(answer.Body)
}

func readHeap(text io.Reader) (heap, error) {
	all := heap{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, value, found := strings.Cut(lines.Text(), " ")
		if !found || !strings.HasPrefix(name, "go_") {
			continue
		}
		amount, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue // a sample with labels
		}
		all[name] = amount
	}
	return all, lines.Err()
}

// describe says where the anonymous memory of a process goes.
func (h heap) describe() string {
	var parts []string
	for _, p := range heapParts {
		text := bytes.format(h[p.metric])
		if p.name == "goroutines" {
			text = strconv.FormatFloat(h[p.metric], 'f', 0, 64)
		}
		parts = append(parts, p.name+" "+text)
	}
	return strings.Join(parts, ", ")
}
