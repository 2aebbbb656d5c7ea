package dns

// Ready tells whether there are records to answer from. Until then every question
// is answered SERVFAIL. It is what CoreDNS's ready plugin calls.
func (h *Runway) Ready() bool { return h.source.Records() != nil }
