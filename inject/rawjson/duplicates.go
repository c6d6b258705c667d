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
	end := int(p.nodes[at].next)
	for i := at + 1; i < end; i = int(p.nodes[i+1].next) {
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
