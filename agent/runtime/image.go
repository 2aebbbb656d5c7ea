package runtime

// PullRequest names an image and the way to its registry.
type PullRequest struct {
	// Ref is "registry/repository@sha256:...". A tag is refused: it was resolved once, at deploy.
	Ref string
	// Credentials for the registry; nil means those of the node (docker's config file), if it has any.
	Credentials *Credentials
	// PlainHTTP permits a registry without TLS. Registries on the loopback address need no permission.
	PlainHTTP bool
	// LocalOnly asks no registry: an image that is not on the node is ErrImageNotFound.
	LocalOnly bool
}

// Credentials are sent to the registry of the reference and to no other host.
type Credentials struct {
	Username string
	Password string
}

// Image is what the agent must know of an image on the node. Labels are left out on purpose: they are the image author's
// words, and parts of the node (restart monitors, log drivers) would obey them as if they were ours (CVE-2026-53488).
type Image struct {
	// Ref is the reference as asked for.
	Ref string
	// Digest of the manifest or index.
	Digest string
	// User as written in the image, empty for root.
	User string
	// StopSignal as written in the image, empty for SIGTERM.
	StopSignal string
}
