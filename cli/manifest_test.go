package cli

import "testing"

func TestManifestRender(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{"manifest_render": "", "manifest_render_staging": "-e staging", "manifest_render_json": "-o json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := manifestRun(t)
			r.args = "manifest render -f DIR " + args
			r.golden(t, name)
		})
	}
}

func TestEnvDiff(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"env_diff": "staging production", "env_diff_json": "staging production -o json", "env_diff_same": "staging staging",
		"env_diff_bad_name": "staging ../x", "env_diff_one": "staging",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := manifestRun(t)
			r.args = "env diff -f DIR " + args
			r.golden(t, name)
		})
	}
}

// manifestRun is a run in a folder with a base, an overlay and two env files.
func manifestRun(t *testing.T) *run {
	return &run{dir: folder(t, map[string]string{
		"runway.yml":         webManifest,
		"runway-staging.yml": "extends: base\nspec: {scalability: {min_instances: 1}, regions: [us-east1]}\n",
		"env-production.yml": "LEVEL: info\nWORKERS: 1\nSAME: true\nEMPTY:\n",
		"env-staging.yml":    "LEVEL: debug\nWORKERS: \"1\"\nSAME: \"true\"\nDEBUG: on\n",
	})}
}
