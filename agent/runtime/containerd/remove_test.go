package containerd

import (
	"path/filepath"
	"testing"
)

// What all containerds of a machine share is no agent's to remove, however empty it is.
func TestNamespaceFolders_AreOfOneNamespace(t *testing.T) {
	t.Parallel()
	r := &Runtime{config: Config{Namespace: "runway-2"}.withDefaults()}
	folders := r.namespaceFolders()
	if len(folders) == 0 {
		t.Error("there are none")
	}
	for _, folder := range folders {
		if filepath.Base(folder) != "runway-2" {
			t.Errorf("%q is not of the namespace", folder)
		}
	}
}
