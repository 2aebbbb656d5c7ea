package route

import "strings"

// maxHost is the longest name that DNS allows.
const maxHost = 253

// Host returns the name that a Host header or a TLS server name stands for:
// lower case, without port and without the trailing dot. It returns false for
// everything that is not a DNS name, addresses included. It allocates nothing
// for a name that is in this form already.
func Host(raw string) (string, bool) {
	name, ok := cutPort(raw)
	if !ok {
		return "", false
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxHost || !validLabels(name) || endsNumeric(name) {
		return "", false
	}
	return strings.ToLower(name), true
}

// cutPort removes ":port"; a port that is not a number makes the name odd.
func cutPort(raw string) (string, bool) {
	at := strings.IndexByte(raw, ':')
	if at < 0 {
		return raw, true
	}
	port := raw[at+1:]
	if port == "" || len(port) > 5 {
		return "", false
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	return raw[:at], true
}

// validLabels tells whether name consists of labels of 1 to 63 letters, digits,
// hyphens and underscores that neither start nor end with a hyphen.
func validLabels(name string) bool {
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			if !labelByte(name[i]) {
				return false
			}
			continue
		}
		if n := i - start; n < 1 || n > 63 || name[start] == '-' || name[i-1] == '-' {
			return false
		}
		start = i + 1
	}
	return true
}

func labelByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c >= 'A' && c <= 'Z'
}

// endsNumeric tells whether the last label is a number, as in an IPv4 address.
func endsNumeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for i := range len(last) {
		if last[i] < '0' || last[i] > '9' {
			return false
		}
	}
	return true
}
