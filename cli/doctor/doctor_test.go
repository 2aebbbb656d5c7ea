package doctor_test

import (
	"strings"
	"testing"

	"github.com/runway-platform/runway/cli/doctor"
	"github.com/runway-platform/runway/cli/doctor/doctortest"
	"github.com/runway-platform/runway/proto/code"
)

func TestCheck_AHealthyMachineLacksNothing(t *testing.T) {
	t.Parallel()
	findings := doctortest.Healthy().Machine().Check(t.Context())
	for _, f := range findings {
		if f.State != doctor.Good || f.Found == "" || f.Code != "" || f.Why != "" || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	const checks = 10
	if len(findings) != checks {
		t.Errorf("%d checks, want %d", len(findings), checks)
	}
}

// Each thing that is wrong alone gives one finding, and the rest stays well.
func TestCheck_FindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const without, want = "", doctor.Failure
	for _, test := range []struct {
		name  string
		spoil func(m *doctortest.Machine)
		check string
		state doctor.State
		code  code.Code
		why   string
	}{
		{"no containerd", says("containerd --version", without), "containerd", want, code.MachinePartMissing, "runs the replicas"},
		{"no shim", says("containerd-shim-runc-v2", without), "containerd-shim-runc-v2", want, code.MachinePartMissing, "watches over each replica"},
		{"no runc", says("runc --version", without), "runc", want, code.MachinePartMissing, "makes containers"},
		{"broken runc", func(m *doctortest.Machine) { m.Silent["runc --version"] = true }, "runc", want, code.MachinePartMissing, "exit status 1"},
		{"runc of Debian 12", says("runc --version", "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\n"), "runc", doctor.Warning, code.MachinePartOld, "CVE-2025-31133"},
		{"old runc of a supported line", says("runc --version", "runc version 1.3.2\n"), "runc", doctor.Warning, code.MachinePartOld, "are open in 1.3.2, and closed in 1.2.8, 1.3.3, 1.4.0-rc.3"},
		{"runc that says nothing", says("runc --version", "hello\n"), "runc", doctor.Warning, code.MachinePartOld, "does not say its version"},
		{"containerd of Debian 12", says("containerd --version", "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n"), "containerd", doctor.Warning, code.MachinePartOld, "are open in 1.6.20"},
		{"no nft", func(m *doctortest.Machine) { delete(m.Says, "nft --version"); delete(m.Says, "nft list tables") }, "nft", want, code.MachinePartMissing, "publishes node ports"},
		{"no nf_tables", func(m *doctortest.Machine) {
			m.Silent["nft list tables"], m.Says["nft list tables"] = true, "Error: Could not process rule: Operation not supported\n"
		}, "kernel features", want, code.KernelFeatureMissing, "nf_tables"},
		{"no bridge plugin", lacks("usr/lib/cni/bridge"), "CNI plugin bridge", want, code.MachinePartMissing, "/usr/lib/cni, /opt/cni/bin"},
		{"no host-local plugin", lacks("usr/lib/cni/host-local"), "CNI plugin host-local", want, code.MachinePartMissing, "looked in"},
		{"no overlayfs", lacks("lib/modules/6.1.0-28-amd64/kernel/fs/overlayfs/overlay.ko.xz"), "kernel features", want, code.KernelFeatureMissing, "overlayfs"},
		{"no seccomp", lacks("proc/sys/kernel/seccomp"), "kernel features", want, code.KernelFeatureMissing, "seccomp"},
		{"no pids controller", func(m *doctortest.Machine) { m.Write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n") }, "cgroups", want, code.KernelFeatureMissing, "no controller pids"},
		{"no cgroups", lacks("sys/fs/cgroup/cgroup.controllers"), "cgroups", want, code.KernelFeatureMissing, "cpu, memory, pids"},
		{"old kernel", kernel("5.10.0-33-amd64\n"), "kernel", doctor.Warning, code.MachinePartOld, "5.15.27"},
		{"not Linux", func(m *doctortest.Machine) { delete(m.Files, "proc/sys/kernel/osrelease") }, "kernel", want, code.MachinePartMissing, "not Linux"},
		{"containerd is stopped", func(m *doctortest.Machine) { m.Sockets = nil }, "containerd service", doctor.Warning, code.RuntimeUnavailable, "nobody accepts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := doctortest.Healthy()
			test.spoil(m)
			var found bool
			for _, f := range m.Machine().Check(t.Context()) {
				if f.Check != test.check {
					if f.State != doctor.Good && test.name != "not Linux" {
						t.Errorf("also found %+v", f)
					}
					continue
				}
				found = true
				if f.State != test.state || f.Code != test.code || !strings.Contains(f.Why, test.why) || f.Fix == "" {
					t.Errorf("got %+v, want %s %s because of %q, and a fix", f, test.state, test.code, test.why)
				}
			}
			if !found {
				t.Errorf("nothing was found about %s", test.check)
			}
		})
	}
}

// What is new enough, or may be there, is not complained about.
func TestCheck_DoesNotCryWolf(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *doctortest.Machine){
		"a candidate with the repair": says("runc --version", "runc version 1.4.0-rc.3\n"),
		"a newer line of runc":        says("runc --version", "runc version 1.5.0\n"),
		"a newer line of containerd":  says("containerd --version", "containerd containerd.io 2.4.0 abc\n"),
		"the long line of containerd": says("containerd --version", "containerd github.com/containerd/containerd v1.7.33 abc\n"),
		"plugins of upstream": func(m *doctortest.Machine) {
			delete(m.Files, "usr/lib/cni/bridge")
			m.Write("opt/cni/bin/bridge", "")
		},
		"cgroup v1": func(m *doctortest.Machine) {
			delete(m.Files, "sys/fs/cgroup/cgroup.controllers")
			for _, name := range []string{"cpu", "memory", "pids"} {
				m.Write("sys/fs/cgroup/"+name+"/tasks", "")
			}
		},
		"a kernel that lists no modules": kernel("6.18.44\n"),
		"a user who may not look at everything": func(m *doctortest.Machine) {
			m.User, m.Sockets = true, nil
			delete(m.Says, "nft list tables")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := doctortest.Healthy()
			change(m)
			for _, f := range m.Machine().Check(t.Context()) {
				if f.State != doctor.Good {
					t.Errorf("found %+v", f)
				}
			}
		})
	}
}

// says makes a program say something else, or takes it away.
func says(line, text string) func(m *doctortest.Machine) {
	return func(m *doctortest.Machine) {
		m.Says[line] = text
		if text == "" {
			delete(m.Says, line)
		}
	}
}

func lacks(name string) func(m *doctortest.Machine) {
	return func(m *doctortest.Machine) { delete(m.Files, name) }
}

func kernel(release string) func(m *doctortest.Machine) {
	return func(m *doctortest.Machine) { m.Write("proc/sys/kernel/osrelease", release) }
}
