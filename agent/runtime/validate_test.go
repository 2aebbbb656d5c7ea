package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runway-platform/runway/agent/runtime"
)

var image = "registry.test/team/app@sha256:" + strings.Repeat("ab", 32)

func TestContainerSpec_Validate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*runtime.ContainerSpec)
		want   error
	}{
		{"complete", func(*runtime.ContainerSpec) {}, nil},
		{"no memory limit", func(s *runtime.ContainerSpec) { s.Resources.Memory = 0 }, runtime.ErrInvalid},
		{"negative cpu", func(s *runtime.ContainerSpec) { s.Resources.CPULimit = -1 }, runtime.ErrInvalid},
		{"negative pids", func(s *runtime.ContainerSpec) { s.Resources.Pids = -1 }, runtime.ErrInvalid},
		{"no log path", func(s *runtime.ContainerSpec) { s.LogPath = "" }, runtime.ErrInvalid},
		{"tag", func(s *runtime.ContainerSpec) { s.Image = "registry.test/app:latest" }, runtime.ErrInvalid},
		{"short digest", func(s *runtime.ContainerSpec) { s.Image = "registry.test/app@sha256:ab" }, runtime.ErrInvalid},
		{"path as id", func(s *runtime.ContainerSpec) { s.ID = "../../etc" }, runtime.ErrInvalid},
		{"empty id", func(s *runtime.ContainerSpec) { s.ID = "" }, runtime.ErrInvalid},
		{"long id", func(s *runtime.ContainerSpec) { s.ID = runtime.ContainerID(strings.Repeat("a", 77)) }, runtime.ErrInvalid},
		{"containerd's label", func(s *runtime.ContainerSpec) {
			s.Labels = map[string]string{"containerd.io/restart.status": "running"}
		}, runtime.ErrInvalid},
		{"nerdctl's label", func(s *runtime.ContainerSpec) { s.Labels = map[string]string{"nerdctl/log-uri": "binary:///x"} }, runtime.ErrInvalid},
		{"our label", func(s *runtime.ContainerSpec) { s.Labels = map[string]string{"runway/replica-id": "r"} }, nil},
		{"environment without =", func(s *runtime.ContainerSpec) { s.Env = []string{"PORT"} }, runtime.ErrInvalid},
		{"environment without key", func(s *runtime.ContainerSpec) { s.Env = []string{"=8080"} }, runtime.ErrInvalid},
		{"NUL in environment", func(s *runtime.ContainerSpec) { s.Env = []string{"A=b\x00c"} }, runtime.ErrInvalid},
		{"10,000 small variables", func(s *runtime.ContainerSpec) { s.Env = many(10_000, 10) }, nil},
		{"2 MB of variables", func(s *runtime.ContainerSpec) { s.Env = many(20_000, 100) }, runtime.ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			spec := runtime.ContainerSpec{ID: "web-1", Image: image, LogPath: "/spool/web-1", Resources: runtime.Resources{Memory: 1 << 20}}
			row.change(&spec)
			if err := spec.Validate(); !errors.Is(err, row.want) {
				t.Errorf("validate: got %v, want %v", err, row.want)
			}
		})
	}
}

func TestContainerSpec_ValidateKeepsSecretsOutOfErrors(t *testing.T) {
	t.Parallel()
	err := runtime.ContainerSpec{Env: []string{"hunter2"}}.Validate()
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("validate: got %v, want an error without the line's text", err)
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{runtime.ErrInvalid, false},
		{runtime.ErrRefused, false},
		{runtime.ErrImageNotFound, false},
		{runtime.ErrImageDenied, false},
		{runtime.ErrImagePlatform, false},
		{context.Canceled, false},
		{runtime.ErrImageCorrupt, true},
		{runtime.ErrRegistryUnreachable, true},
		{runtime.ErrUnavailable, true},
		{errors.New("anything else"), true},
	} {
		wrapped := row.err
		if row.err != nil {
			wrapped = fmt.Errorf("pull image: %w", row.err)
		}
		if got := runtime.Retryable(wrapped); got != row.want {
			t.Errorf("Retryable(%v): got %v, want %v", wrapped, got, row.want)
		}
	}
}

func many(count, size int) []string {
	lines := make([]string, count)
	for i := range lines {
		lines[i] = fmt.Sprintf("K%d=%s", i, strings.Repeat("x", size))
	}
	return lines
}
