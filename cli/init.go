package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runway-platform/runway/manifest"
	"github.com/spf13/cobra"
)

func (a *app) initCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Write a first manifest for the code in this folder",
		Long: "Init looks at the code of a folder for its language, its Dockerfile and the port that it exposes, and\n" +
			"writes .runway/runway.yml with what it found. Without NAME the service is called as the folder is.\n" +
			"It changes no file that is there, and needs no cluster.",
		Example: "  runwayctl init\n  runwayctl init web --dir services/web",
		Args:    between(0, "NAME"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.initialize(dir, firstOf(args)) },
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of the code")
	return cmd
}

// beginning is the document of `init`.
type beginning struct {
	Service    string `json:"service"`
	File       string `json:"file"`
	Language   string `json:"language"`
	Dockerfile string `json:"dockerfile"`
	Port       int    `json:"port"`
}

func (a *app) initialize(dir, name string) error {
	name, err := nameOf(dir, name)
	if err != nil {
		return err
	}
	if err := refuseManifest(dir); err != nil {
		return err
	}
	found, err := detect(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, ".runway", "runway.yml")
	if err := writeNew(file, firstManifest(name, found)); err != nil {
		return err
	}
	b := beginning{Service: name, File: file, Language: found.language, Dockerfile: found.dockerfile, Port: found.port}
	return a.showValue(b, func(t *table) {
		t.text("wrote " + file + " for " + found.says())
		t.text("next: runwayctl validate -f " + dir + ", then runwayctl deploy -f " + dir + " --image IMAGE")
	})
}

// nameOf is the name that was given, or the nearest one to that of the folder.
func nameOf(dir, name string) (string, error) {
	if name != "" {
		return name, manifest.CheckName("service", name)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find folder %q: %w", dir, err)
	}
	if name = manifest.ProposeName(filepath.Base(path)); name == "" {
		return "", &failure{exit: exitUsage, code: usageCode, summary: fmt.Sprintf("no name for the service follows from %s", path), fix: "name it: runwayctl init NAME"}
	}
	return name, nil
}

// refuseManifest refuses a folder where deploy would find a manifest of any environment.
func refuseManifest(dir string) error {
	file, err := manifest.Existing(dir)
	if err != nil || file == "" {
		return err
	}
	return alreadyThere(file)
}

func alreadyThere(file string) error {
	return &failure{exit: exitUsage, code: usageCode, summary: file + " is already there", fix: "check it: runwayctl validate -f " + file}
}

// writeNew writes a file that must not be there.
func writeNew(path, text string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder of %q: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return alreadyThere(path)
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// firstManifest says only what was found, and where the rest is.
func firstManifest(name string, found codeBase) string {
	return fmt.Sprintf(`# Made for %s.
# All fields: runwayctl manifest schema. What holds: runwayctl manifest render.
apiVersion: runway/v1
kind: RunwayService
metadata:
  name: %q
spec:
  # %s
  container_port: %d
  # What one replica gets: the memory is reserved, the processor time a ceiling.
  resources:
    limits:
      cpu: 1000m
      memory: 512Mi
  scalability:
    min_instances: 1
  # A path that answers 200 once the process can serve. Until you name one, any
  # answer below 500 on / is enough.
  # startup_probe:
  #   path: /healthz
`, found.says(), name, found.portReason, found.port)
}
