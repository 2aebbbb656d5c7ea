package state

import (
	"cmp"
	"slices"
)

// sortByCreation puts the oldest first; objects of one command keep their order.
func sortByCreation[T Object](objects []T) {
	slices.SortStableFunc(objects, func(a, b T) int {
		return cmp.Compare(a.GetMeta().GetCreatedIndex(), b.GetMeta().GetCreatedIndex())
	})
}
