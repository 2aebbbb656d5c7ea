package manifest

import (
	"errors"
	"math/bits"
	"regexp"
	"strconv"
	"strings"

	"github.com/runway-platform/runway/proto/defaults"
)

const (
	// maxCPUMilli is more than any machine has.
	maxCPUMilli = 4096 * 1000
	// maxMemoryBytes is more than any machine has.
	maxMemoryBytes = 64 << 40

	cpuForm    = "cores such as 1, 2 or 0.5, or thousandths such as 1000m, from 10m to 4096"
	memoryForm = "a size such as 512Mi, 2G or 1.5Gi (units k M G T Ki Mi Gi Ti, or bytes), from 6Mi to 64Ti"
)

var (
	errQuantity = errors.New("quantity not in the allowed form")

	// cpuPattern is what both of the patterns allow, without the range.
	cpuPattern      = `^([1-9][0-9]{0,8}m|(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?)$`
	milliPattern    = regexp.MustCompile(`^([1-9][0-9]{0,8})m$`)
	coresPattern    = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})(?:\.([0-9]{1,3}))?$`)
	memoryPattern   = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,3}))?(k|M|G|T|Ki|Mi|Gi|Ti)?$`)
	memoryUnitBytes = map[string]uint64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
)

// parseCPU returns thousandths of a core.
func parseCPU(text string) (int64, error) {
	milli, err := cpuMilli(text)
	if err != nil || milli < defaults.MinCPUMilli || milli > maxCPUMilli {
		return 0, errQuantity
	}
	return milli, nil
}

func cpuMilli(text string) (int64, error) {
	if m := milliPattern.FindStringSubmatch(text); m != nil {
		return strconv.ParseInt(m[1], 10, 64)
	}
	m := coresPattern.FindStringSubmatch(text)
	if m == nil {
		return 0, errQuantity
	}
	return strconv.ParseInt(m[1]+thousandths(m[2]), 10, 64)
}

// parseMemory returns bytes.
func parseMemory(text string) (int64, error) {
	m := memoryPattern.FindStringSubmatch(text)
	if m == nil || (m[2] != "" && m[3] == "") {
		return 0, errQuantity
	}
	milli, err := strconv.ParseUint(m[1]+thousandths(m[2]), 10, 64)
	if err != nil {
		return 0, errQuantity
	}
	high, low := bits.Mul64(milli, memoryUnitBytes[m[3]])
	if high != 0 {
		return 0, errQuantity
	}
	if size := low / 1000; size >= defaults.MinMemoryBytes && size <= maxMemoryBytes {
		return int64(size), nil
	}
	return 0, errQuantity
}

func formatCPU(milli int64) string { return strconv.FormatInt(milli, 10) + "m" }

// formatMemory uses the unit that gives the smallest whole number.
func formatMemory(size int64) string {
	number, best := size, ""
	for _, unit := range []string{"Ti", "Gi", "Mi", "Ki", "T", "G", "M", "k"} {
		if bytes := int64(memoryUnitBytes[unit]); size%bytes == 0 && size/bytes < number {
			number, best = size/bytes, unit
		}
	}
	return strconv.FormatInt(number, 10) + best
}

// thousandths pads the digits after a decimal point to three.
func thousandths(fraction string) string {
	return fraction + strings.Repeat("0", 3-len(fraction))
}
