package network

import (
	_ "embed"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/template"
)

//go:embed rules.nft.tmpl
var rulesText string

var rules = template.Must(template.New("rules").Parse(rulesText))

// renderRules returns the nft script that replaces the node's table in one transaction: at no moment is there a table
// without its drops. The elements are part of the script, so that a reload unpublishes nothing.
func renderRules(cfg Config, d dynamic) (string, error) {
	var out strings.Builder
	err := rules.Execute(&out, map[string]any{
		"Table":          cfg.table(),
		"Bridge":         cfg.Bridge,
		"Subnet":         cfg.Subnet,
		"Gateway":        cfg.Gateway(),
		"NodeAddress":    cfg.NodeAddress,
		"FirstPort":      cfg.FirstPort,
		"LastPort":       cfg.LastPort,
		"Metadata":       metadataNetwork,
		"ReplicaNetwork": cfg.ReplicaNetwork,
		"DenyEgress":     joinPrefixes(disjoint(cfg.DenyEgress)),
		"Identity":       cfg.identity(),
		"Published":      d.publishedText(),
		"Internal":       d.internalText(),
		"Ingress":        d.ingressText(),
	})
	if err != nil {
		return "", fmt.Errorf("render packet rules of node %q: %w", cfg.Node, err)
	}
	return out.String(), nil
}

// disjoint drops networks that lie in another one: an nft set refuses elements that overlap.
func disjoint(prefixes []netip.Prefix) []netip.Prefix {
	prefixes = slices.Clone(prefixes)
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		if a.Bits() != b.Bits() {
			return a.Bits() - b.Bits()
		}
		return a.Addr().Compare(b.Addr())
	})
	var kept []netip.Prefix
	for _, p := range prefixes {
		if !slices.ContainsFunc(kept, func(k netip.Prefix) bool { return k.Contains(p.Addr()) }) {
			kept = append(kept, p)
		}
	}
	return kept
}

func joinPrefixes(prefixes []netip.Prefix) string {
	text := make([]string, len(prefixes))
	for i, p := range prefixes {
		text[i] = p.String()
	}
	return strings.Join(text, ", ")
}

func (d dynamic) publishedText() string {
	var elements []string
	for _, port := range slices.Sorted(maps.Keys(d.published)) {
		to := d.published[port]
		elements = append(elements, fmt.Sprintf("%d : %s . %d", port, to.Addr(), to.Port()))
	}
	return strings.Join(elements, ", ")
}

func (d dynamic) internalText() string {
	var elements []string
	for _, k := range internalPorts {
		if to, ok := d.internal[k]; ok {
			elements = append(elements, fmt.Sprintf("%s . %d : %s . %d", k.protoName(), k.port, to.Addr(), to.Port()))
		}
	}
	return strings.Join(elements, ", ")
}

func (d dynamic) ingressText() string {
	var elements []string
	for _, addr := range slices.SortedFunc(maps.Keys(d.ingress), netip.Addr.Compare) {
		elements = append(elements, addr.String())
	}
	return strings.Join(elements, ", ")
}
