package fleet

import "container/heap"

// end is when the first job of a node will end, if none starts or ends there before.
type end struct {
	at      float64
	node    *Node
	changes int
}

// ends is a heap of them.
type ends []end

func (e ends) Len() int { return len(e) }
func (e ends) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].node.Name < e[j].node.Name
}
func (e ends) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is heap.Interface's.
func (e *ends) Push(x any) { *e = append(*e, x.(end)) }

// Pop is heap.Interface's.
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// peek returns the node on which a job ends next, and when, or nil. It drops what is void.
func (e *ends) peek() (*Node, float64) {
	for len(*e) > 0 {
		if next := (*e)[0]; next.changes == next.node.changes {
			return next.node, next.at
		}
		heap.Pop(e)
	}
	return nil, 0
}
