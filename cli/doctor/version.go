package doctor

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// version is MAJOR.MINOR.PATCH of a program. A candidate of a release comes before it.
type version struct {
	major, minor, patch int
	// candidate is the number of a release candidate, 0 for a release.
	candidate int
}

// versions finds the first version in what a program says of itself. What distributions
// add (+ds1, ~ds1) is not read: their patches have numbers of their own.
var versions = regexp.MustCompile(`v?(\d+)\.(\d+)(?:\.(\d+))?(?:-rc\.?(\d+))?`)

func parseVersion(text string) (version, bool) {
	found := versions.FindStringSubmatch(text)
	if found == nil {
		return version{}, false
	}
	var numbers [4]int
	for i, digits := range found[1:] {
		n, err := strconv.Atoi(digits)
		if err != nil && digits != "" {
			return version{}, false
		}
		numbers[i] = n
	}
	return version{numbers[0], numbers[1], numbers[2], numbers[3]}, true
}

func (v version) String() string {
	text := strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) + "." + strconv.Itoa(v.patch)
	if v.candidate > 0 {
		text += "-rc." + strconv.Itoa(v.candidate)
	}
	return text
}

func (v version) compare(w version) int {
	candidates := cmp.Compare(v.candidate, w.candidate)
	if (v.candidate == 0) != (w.candidate == 0) {
		candidates = -candidates // a release comes after its candidates
	}
	return cmp.Or(v.compareLine(w), cmp.Compare(v.patch, w.patch), candidates)
}

// compareLine compares the lines of releases that versions belong to.
func (v version) compareLine(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}

// minimum is the first version of each supported line in which the known holes are
// closed, oldest line first.
type minimum []version

// holds says whether a version is not below the minimum of its line. Lines older than the
// oldest are; newer than the newest are not.
func (m minimum) holds(v version) bool {
	for _, line := range m {
		if v.compareLine(line) == 0 {
			return v.compare(line) >= 0
		}
	}
	return v.compareLine(m[len(m)-1]) > 0
}

func (m minimum) String() string {
	var all []string
	for _, v := range m {
		all = append(all, v.String())
	}
	return strings.Join(all, ", ")
}
