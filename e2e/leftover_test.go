//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a lab is called on the machine, so that the next run finds it.
const (
	labDirs  = "rw-e2e-"
	labHosts = "rwe2e-"
	labLinks = "rwl-"
	labLock  = "/run/rw-e2e.lock"
)

// alone takes the lab's names for the test and removes what a run left that was ended
// before it could clean up, as by Ctrl-C.
func alone(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	lock, err := os.OpenFile(labLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatalf("another end-to-end run uses this machine's network names (%s: %v); run one at a time", labLock, err)
	}
	if err := removeLeftovers(); err != nil {
		t.Fatalf("remove what an interrupted run left: %v", err)
	}
}

// removeLeftovers ends the processes of earlier labs, then takes away their mounts,
// files, links and namespaces.
func removeLeftovers() error {
	var failures []error
	for _, pid := range leftProcesses() {
		failures = append(failures, endLeftover(pid))
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), labDirs+"*"))
	for _, dir := range dirs {
		failures = append(failures, unmountBelow(dir), os.RemoveAll(dir))
	}
	// Links first: the kernel takes away those of a namespace some time after it, and
	// the next lab has the same names.
	links, _ := filepath.Glob("/sys/class/net/" + labLinks + "*")
	bridges, _ := filepath.Glob("/sys/class/net/" + labBridge)
	for _, link := range append(links, bridges...) {
		failures = append(failures, exec.Command("ip", "link", "delete", filepath.Base(link)).Run())
	}
	hosts, _ := filepath.Glob("/run/netns/" + labHosts + "*")
	for _, host := range hosts {
		failures = append(failures, exec.Command("ip", "netns", "delete", filepath.Base(host)).Run())
	}
	return errors.Join(failures...)
}

// leftProcesses are those that were started with a file of a lab, and the children of
// those: the containers of its shims.
func leftProcesses() []int {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	mark := []byte(filepath.Join(os.TempDir(), labDirs))
	var found []int
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		if ofLab(process, mark) || ofLab("/proc/"+parent(process), mark) {
			found = append(found, pid)
		}
	}
	return found
}

func ofLab(process string, mark []byte) bool {
	line, _ := os.ReadFile(process + "/cmdline")
	return bytes.Contains(line, mark)
}

func parent(process string) string {
	text, _ := os.ReadFile(process + "/status")
	_, rest, _ := strings.Cut(string(text), "PPid:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// endLeftover kills a process and waits until it is gone: what it holds is removed next.
func endLeftover(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); pause(10 * time.Millisecond) {
		if state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err != nil || bytes.Contains(state, []byte(") Z ")) {
			return nil
		}
	}
	return errors.New("process " + strconv.Itoa(pid) + " does not end")
}

// A run that was ended by a signal leaves a lab behind, and the next one begins all the same.
func TestLab_InterruptedRunIsCleanedUp(t *testing.T) {
	alone(t)
	dir, err := os.MkdirTemp("", labDirs) //nolint:usetesting // as a lab's, which outlives its test
	if err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "link", "add", labBridge, "type", "bridge")
	run(t, "ip", "netns", "add", labHosts+"left")
	run(t, "ip", "link", "add", labLinks+"left", "type", "veth", "peer", "name", "eth0", "netns", labHosts+"left")
	mounted := filepath.Join(dir, "mounted")
	if err := os.Mkdir(mounted, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "mount", "-t", "tmpfs", "none", mounted)
	// A shell with a file of the lab in its command line and a child, like a shim.
	left := exec.Command("sh", "-c", "sleep 600 & wait", filepath.Join(dir, "shim.sock"))
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	var pids []int
	eventually(t, 5*time.Second, "the child", func() error {
		if pids = leftProcesses(); len(pids) != 2 {
			return errors.New("not both are seen")
		}
		return nil
	})

	if err := removeLeftovers(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the process ended by itself")
	}
	if pids := leftProcesses(); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
	for _, path := range []string{dir, "/run/netns/" + labHosts + "left", "/sys/class/net/" + labLinks + "left", "/sys/class/net/" + labBridge} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}
