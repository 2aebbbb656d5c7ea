package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

var ingressTable = table[*runwayv1.Ingress]{
	name: TableIngresses,
	key:  (*runwayv1.Ingress).GetId,
}

// Ingress returns an ingress by id.
func (v *View) Ingress(id string) *runwayv1.Ingress { return ingressTable.get(v, id) }

// Ingresses returns every ingress, lost ones too.
func (v *View) Ingresses() []*runwayv1.Ingress { return ingressTable.all(v) }

// PutIngress writes an ingress.
func (tx *Tx) PutIngress(ingress *runwayv1.Ingress) { ingressTable.put(tx, ingress) }

// DeleteIngress removes an ingress.
func (tx *Tx) DeleteIngress(id string) { ingressTable.remove(tx, id) }
