package manifest

import (
	"errors"
	"testing"

	"github.com/runway-platform/runway/proto/defaults"
)

// FuzzParse checks that any input is either a complete manifest or a list of
// problems, and never a crash.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everyField))
	f.Add([]byte(cloudManifest))
	f.Add([]byte(kubernetesValues))
	f.Add([]byte(kubernetesOverlay))
	for _, bad := range badManifests {
		f.Add([]byte(bad.input))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("runway.yml", data)
		if err == nil {
			checkManifest(t, m)
			return
		}
		var problems Errors
		if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems || m != nil {
			t.Fatalf("got manifest %v and error %v", m, err)
		}
		checkProblems(t, "fuzz", problems)
	})
}

// checkManifest checks the bounds that everything behind the manifest relies on.
func checkManifest(t *testing.T, m *Manifest) {
	t.Helper()
	r, s := m.Spec.GetResources(), m.Spec.GetScale()
	if m.Name == "" || m.Spec.GetContainerPort() > 65535 {
		t.Errorf("name %q, port %d", m.Name, m.Spec.GetContainerPort())
	}
	if r.GetMemoryBytes() < defaults.MinMemoryBytes || r.GetCpuLimitMilli() < defaults.MinCPUMilli || r.GetCpuRequestMilli() > r.GetCpuLimitMilli() {
		t.Errorf("resources %v", r)
	}
	if s.GetMin() < 1 || s.GetMin() > s.GetMax() {
		t.Errorf("scale %v", s)
	}
}

// FuzzEnv checks the same of env files.
func FuzzEnv(f *testing.F) {
	f.Add([]byte("A: 1\nB: \"x\"\nC: [1]\nPORT: 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkText("env.yml", data) != nil {
			return
		}
		env, problems := parseEnv("env.yml", data)
		for name := range env {
			if !envName.MatchString(name) && len(problems) == 0 {
				t.Errorf("accepted the name %q", name)
			}
		}
	})
}
