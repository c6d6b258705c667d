package fleet

import "slices"

// Job is one job of a push. Times are in seconds of the replay's clock.
type Job struct {
	ID      int
	Project int
	Pushed  float64
	Node    *Node
	// Hit says whether the job's node had the project's cache when the job started.
	Hit bool

	// work is its time with a warm cache, at full speed; left is what remains of it.
	work, left float64
	measured   bool
}

// Node is a node of the fleet.
type Node struct {
	Name string
	// Running are its jobs, in no order.
	Running []*Job
	// Cordoned says that no more jobs may start here.
	Cordoned bool

	cache []int // projects, the one used last first
	until float64
	// at is the time up to which the jobs' remaining work is known, and busy the work done so far.
	at, busy float64
	// changes counts changes of Running: the end of a job that was foreseen before the last one is void.
	changes int
}

// Has reports whether the node's cache has a project.
func (n *Node) Has(project int) bool { return slices.Contains(n.cache, project) }

// use makes a project the one used last, and drops the one not used for longest if there is no room.
func (n *Node) use(project, room int) {
	at := slices.Index(n.cache, project)
	if at < 0 {
		at = min(len(n.cache), room-1)
		n.cache = append(n.cache[:at], project)
	}
	copy(n.cache[1:at+1], n.cache[:at])
	n.cache[0] = project
}

// speed is the share of its full speed at which each job runs.
func (n *Node) speed(slots int) float64 { return min(1, float64(slots)/float64(len(n.Running))) }

// advance works on the jobs until a time.
func (n *Node) advance(now float64, slots int) {
	if len(n.Running) > 0 {
		done := (now - n.at) * n.speed(slots)
		for _, j := range n.Running {
			j.left -= done
		}
		n.busy += (now - n.at) * float64(len(n.Running))
	}
	n.at = now
}

// first returns the job that ends first, and when.
func (n *Node) first(slots int) (*Job, float64) {
	j := slices.MinFunc(n.Running, func(a, b *Job) int {
		switch {
		case a.left < b.left || a.left == b.left && a.ID < b.ID:
			return -1
		default:
			return 1
		}
	})
	return j, n.at + max(0, j.left)/n.speed(slots)
}
