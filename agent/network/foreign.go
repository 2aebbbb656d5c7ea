package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// repairForeignChains lets our bridge pass the forward and input chains of others that drop by default. Beside Docker the
// chain FORWARD of iptables does, beside ufw also INPUT, and an accept in our table cannot overrule a drop in another. Only the
// bridge as a whole is accepted there: our own table sees the same packets and decides about each. The CNI firewall plugin
// would do the same for one replica after another, at the price of more processes for each, and nobody would put its rules
// back after a flush.
func (n *Network) repairForeignChains(context.Context) ([]Drift, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	chains, err := foreignChains(conn)
	if err != nil {
		return nil, err
	}
	var drifts []Drift
	for _, chain := range chains {
		if chain.Policy == nil || *chain.Policy != nftables.ChainPolicyDrop {
			continue
		}
		added, err := n.openChain(conn, chain)
		if err != nil {
			return drifts, err
		}
		if added {
			drifts = append(drifts, Drift{"foreign", fmt.Sprintf("chain %s of table %s dropped what replicas send or get", chain.Name, chain.Table.Name)})
		}
	}
	if len(drifts) == 0 {
		return nil, nil
	}
	if err := conn.Flush(); err != nil {
		return nil, fmt.Errorf("accept bridge %q in foreign chains: %w", n.cfg.Bridge, err)
	}
	return drifts, nil
}

// foreignChains returns the chains that see what the machine forwards or takes in. Ours are among them, but never drop by default.
func foreignChains(conn *nftables.Conn) ([]*nftables.Chain, error) {
	var found []*nftables.Chain
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := conn.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, fmt.Errorf("list chains: %w", err)
		}
		for _, c := range chains {
			if interfaceKeys(c) != nil {
				found = append(found, c)
			}
		}
	}
	return found, nil
}

// interfaceKeys are the ends at which a chain sees our bridge; none for a chain that is not about forwarding or input.
func interfaceKeys(chain *nftables.Chain) []expr.MetaKey {
	switch {
	case chain.Hooknum == nil:
		return nil
	case *chain.Hooknum == *nftables.ChainHookForward:
		return []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME}
	case *chain.Hooknum == *nftables.ChainHookInput:
		return []expr.MetaKey{expr.MetaKeyIIFNAME}
	}
	return nil
}

// openChain queues the accept rules that the chain lacks, in front of all others.
func (n *Network) openChain(conn *nftables.Conn, chain *nftables.Chain) (added bool, err error) {
	rules, err := conn.GetRules(chain.Table, chain)
	if err != nil {
		return false, fmt.Errorf("list rules of chain %q: %w", chain.Name, err)
	}
	for _, key := range interfaceKeys(chain) {
		if len(n.acceptRules(rules, key)) > 0 {
			continue
		}
		conn.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: acceptInterface(key, n.cfg.Bridge)})
		added = true
	}
	return added, nil
}

// closeForeignChains takes our accept rules out of every chain of others.
func (n *Network) closeForeignChains() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	chains, err := foreignChains(conn)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		rules, err := conn.GetRules(chain.Table, chain)
		if err != nil {
			return fmt.Errorf("list rules of chain %q: %w", chain.Name, err)
		}
		for _, key := range interfaceKeys(chain) {
			for _, rule := range n.acceptRules(rules, key) {
				err = errors.Join(err, conn.DelRule(rule))
			}
		}
		if err != nil {
			return fmt.Errorf("remove rule of chain %q: %w", chain.Name, err)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove bridge %q from foreign chains: %w", n.cfg.Bridge, err)
	}
	return nil
}

// acceptInterface is "iifname <name> counter accept", expression by expression what iptables writes for -i <name> -j ACCEPT:
// iptables refuses to list a chain with expressions that it does not know.
func acceptInterface(key expr.MetaKey, name string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append([]byte(name), 0)},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

// acceptRules returns the rules among rules that accept our bridge and do nothing else.
func (n *Network) acceptRules(rules []*nftables.Rule, key expr.MetaKey) []*nftables.Rule {
	var found []*nftables.Rule
	for _, rule := range rules {
		if len(rule.Exprs) != 4 {
			continue
		}
		meta, isMeta := rule.Exprs[0].(*expr.Meta)
		cmp, isCmp := rule.Exprs[1].(*expr.Cmp)
		verdict, isVerdict := rule.Exprs[3].(*expr.Verdict)
		if isMeta && isCmp && isVerdict && meta.Key == key && verdict.Kind == expr.VerdictAccept &&
			bytes.Equal(bytes.TrimRight(cmp.Data, "\x00"), []byte(n.cfg.Bridge)) {
			found = append(found, rule)
		}
	}
	return found
}
