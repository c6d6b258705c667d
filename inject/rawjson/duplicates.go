package rawjson

import "fmt"

// duplicates refuses an object that names a member twice: readers disagree on which one counts, so a decision made on
// one of them could be applied to the other.
func (p *parser) duplicates(at int) *SyntaxError {
	if at < 0 || p.nodes[at].count < 2 {
		return nil
	}
	const pairwise = 24
	var seen map[string]struct{}
	if p.nodes[at].count > pairwise {
		seen = make(map[string]struct{}, p.nodes[at].count)
	}
	// A name of another length, beginning or end than all before is no repetition. One with an escape may be equal to any.
	var signs uint64
	escapes := false
	end := int(p.nodes[at].next)
	for i := at + 1; i < end; i = int(p.nodes[i+1].next) {
		n := &p.nodes[i]
		sign := uint64(1) << ((n.end - n.start + 11*uint32(p.text[n.start+1]) + 5*uint32(p.text[max(n.end-2, n.start)])) % 64)
		escapes = escapes || n.escaped
		if seen == nil && signs&sign == 0 && !escapes {
			signs |= sign
			continue
		}
		name := p.unquoted(i)
		repeated := false
		if seen != nil {
			_, repeated = seen[name]
			seen[name] = struct{}{}
		} else {
			for j := at + 1; j < i && !repeated; j = int(p.nodes[j+1].next) {
				repeated = p.unquoted(j) == name
			}
		}
		if repeated {
			p.pos = int(p.nodes[i].start)
			return p.fail(fmt.Sprintf("member %.100q appears twice", name))
		}
	}
	return nil
}

func (p *parser) unquoted(at int) string { return unquote(p.text, &p.nodes[at]) }
