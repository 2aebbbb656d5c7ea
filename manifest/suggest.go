package manifest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// suggest says what to write instead of an unknown key below parent: the same key
// where it belongs, the nearest key of the same block, the nearest key anywhere,
// or what the block may hold.
func (t table) suggest(parent, key string) string {
	key = clip(key)
	if places := t.elsewhere(parent, key); len(places) > 0 {
		return misplaced(parent, places)
	}
	if near, ok := t.nearest(key, func(f Field) bool { return f.parent() == parent }); ok {
		return "did you mean " + near.key() + "?"
	}
	if near, ok := t.nearest(key, func(f Field) bool { return f.parent() != "" }); ok {
		return "did you mean " + near.Path + "?"
	}
	return "fields here are " + strings.Join(t.keysBelow(parent), ", ")
}

// elsewhere returns the paths at which key is valid, nearest to parent first.
func (t table) elsewhere(parent, key string) []string {
	var paths []string
	for _, f := range t {
		if f.key() == normalize(key) && f.parent() != parent {
			paths = append(paths, f.Path)
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return levelsApart(parent, a) - levelsApart(parent, b) })
	return paths
}

// misplaced words the proposal for a key that stands in the wrong block.
func misplaced(parent string, places []string) string {
	best := places[0]
	deeper := strings.Count(best, ".") - strings.Count(join(parent, "x"), ".")
	direction := "in another block"
	switch {
	case deeper > 0 && strings.HasPrefix(best, prefixOf(parent)):
		direction = levels(deeper) + " deeper"
	case deeper < 0 && strings.HasPrefix(parent, prefixOf(parentOf(best))):
		direction = levels(-deeper) + " higher"
	}
	text := fmt.Sprintf("did you mean %s (%s)", best, direction)
	if len(places) > 1 && levelsApart(parent, places[1]) == levelsApart(parent, best) {
		text += " or " + places[1]
	}
	return text + "?"
}

func levels(n int) string {
	if n == 1 {
		return "one level"
	}
	return fmt.Sprintf("%d levels", n)
}

func prefixOf(parent string) string {
	if parent == "" {
		return ""
	}
	return parent + "."
}

func parentOf(path string) string { return Field{Path: path}.parent() }

// levelsApart counts the steps from the block parent to the block that holds path.
func levelsApart(parent, path string) int {
	a, b := splitPath(parent), splitPath(parentOf(path))
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	return len(a) - same + len(b) - same
}

func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

// nearest returns the allowed field whose key differs least from key, when it
// differs by no more than a third of its letters.
func (t table) nearest(key string, allowed func(Field) bool) (Field, bool) {
	key = normalize(key)
	var best Field
	smallest := 1 + max(1, len(key)/3)
	for _, f := range t {
		if d := distance(key, f.key()); allowed(f) && d < smallest {
			best, smallest = f, d
		}
	}
	return best, best.Path != ""
}

func (t table) keysBelow(parent string) []string {
	var keys []string
	for _, f := range t {
		if f.parent() == parent && t.usable(f) {
			keys = append(keys, f.key())
		}
	}
	return keys
}

// usable fields are built, or blocks with a built field in them.
func (t table) usable(f Field) bool {
	if f.rule.shape != block {
		return useful(f)
	}
	return slices.ContainsFunc(t, func(inner Field) bool {
		return strings.HasPrefix(inner.Path, f.Path+".") && inner.rule.shape != block && useful(inner)
	})
}

// useful fields have an effect that somebody may look for.
func useful(f Field) bool {
	return f.Built() && f.rule.other == "" && f.rule.missing == "" && (!f.Warns() || f.rule.partly)
}

// normalize turns containerPort and Container-Port into container_port; apiVersion
// is the one key with a capital.
func normalize(key string) string {
	if strings.EqualFold(strings.ReplaceAll(key, "_", ""), "apiVersion") {
		return "apiVersion"
	}
	var out strings.Builder
	runes := []rune(strings.ReplaceAll(key, "-", "_"))
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(runes[i-1]) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// distance is the number of letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
