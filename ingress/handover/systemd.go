package handover

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// firstPassed is the descriptor that systemd begins with.
const firstPassed = 3

// errNotSocket means that a descriptor was passed that cannot be served on.
var errNotSocket = errors.New("not a listening TCP or UDP socket")

// fromSystemd returns the sockets that were passed to this process. They stay open
// with systemd when it ends, so that connections wait for the next one. The variables
// are unset: no child is to believe them.
func fromSystemd() ([]inherited, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, variable := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(variable); err != nil {
			return nil, fmt.Errorf("unset %s: %w", variable, err)
		}
	}
	if count == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("read LISTEN_FDS %q: want a number up to %d", count, maxSockets)
	}
	var passed []inherited
	for fd := firstPassed; fd < firstPassed+n; fd++ {
		syscall.CloseOnExec(fd)
		one := inherit(os.NewFile(uintptr(fd), "passed-"+strconv.Itoa(fd)), name{})
		if one == nil {
			return nil, fmt.Errorf("use descriptor %d from LISTEN_FDS: %w", fd, errNotSocket)
		}
		passed = append(passed, *one)
	}
	return passed, nil
}
