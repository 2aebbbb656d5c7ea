// Command probe is the one program in the images of the containerd tests. Its first argument says what it does.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	mode := "serve"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "serve", "unprivileged":
		serve()
	case "exit-seven":
		os.Exit(7)
	case "ignore-term":
		ignored := make(chan os.Signal, 1)
		signal.Notify(ignored, syscall.SIGTERM)
		fmt.Println("serving")
		for range ignored {
		}
	case "eat-memory":
		eat()
	case "eat-memory-in-child":
		_ = exec.Command("/probe", "eat-memory").Run() // its death is the point
		serve()
	case "try":
		try()
		serve()
	case "threads":
		threads()
		serve()
	case "complain":
		fmt.Fprintln(os.Stderr, "GREETING is not set")
		os.Exit(1)
	case "words":
		fmt.Println(strings.Join(append(os.Args[1:], os.Getenv("GREETING"), os.Getenv("FROM_IMAGE")), " "))
	default:
		fmt.Fprintln(os.Stderr, "unknown mode", mode)
		os.Exit(64)
	}
}

func serve() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("serving")
	<-stop
}

// eat touches memory up to 1 GiB.
func eat() {
	var kept [][]byte
	for range 1024 {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
	runtime.KeepAlive(kept)
	os.Exit(3)
}

// threads starts processes until it is refused.
func threads() {
	count := 0
	for ; count < 2000; count++ {
		if err := exec.Command("/probe", "serve").Start(); err != nil {
			break
		}
	}
	fmt.Println("processes", count)
}

// try prints "name errno" for everything that a container must not be able to do.
func try() {
	for _, attempt := range []struct {
		name string
		do   func() error
	}{
		{"unshare", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
		{"mount", func() error { return unix.Mount("none", "/", "tmpfs", 0, "") }},
		{"keyctl", func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true); return err }},
		{"bpf", func() error { return raw(unix.SYS_BPF) }},
		{"ptrace", func() error { return unix.PtraceAttach(1) }},
		{"io_uring", func() error { return raw(unix.SYS_IO_URING_SETUP) }},
		{"af_alg", func() error { _, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0); return err }},
		{"mknod", func() error { return unix.Mknod("/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0))) }},
		{"raw_socket", func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, 1); return err }},
		{"write_sysctl", func() error { return write("/proc/sys/kernel/core_pattern") }},
		{"write_sysrq", func() error { return write("/proc/sysrq-trigger") }},
		{"write_sys", func() error { return write("/sys/kernel/mm/ksm/run") }},
		{"write_cgroup", func() error { return write("/sys/fs/cgroup/memory/memory.limit_in_bytes") }},
		{"read_kcore", func() error { return read("/proc/kcore") }},
		{"sethostname", func() error { return unix.Sethostname([]byte("x")) }},
		{"listen_80", func() error { l, err := net.Listen("tcp", ":80"); _ = l; return err }},
		{"resolv", func() error { return write("/etc/resolv.conf") }},
	} {
		fmt.Printf("try %s %v\n", attempt.name, attempt.do())
	}
	hostname, _ := os.Hostname()
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	fmt.Println("hostname", hostname)
	fmt.Println("resolv", strings.TrimSpace(string(resolv)))
	fmt.Println("uid", os.Getuid())
	fmt.Println("gomaxprocs", runtime.GOMAXPROCS(0))
	fmt.Println("cgroup", cgroupPaths())
}

func raw(trap uintptr) error {
	var attr [128]byte
	_, _, errno := unix.Syscall(trap, 0, uintptr(unsafe.Pointer(&attr)), uintptr(len(attr)))
	if errno == 0 {
		return nil
	}
	return errno
}

func write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("1")
	return err
}

func read(path string) error {
	content := make([]byte, 1)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if n, _ := f.Read(content); n == 0 {
		return fmt.Errorf("empty")
	}
	return nil
}

// cgroupPaths returns the distinct paths that the container sees of its cgroups.
func cgroupPaths() []string {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	var paths []string
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) == 3 && !seen[parts[2]] {
			seen[parts[2]] = true
			paths = append(paths, parts[2])
		}
	}
	return paths
}
