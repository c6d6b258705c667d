package engines

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// Order is where the pods of a project go by its cache, for one engine.
type Order struct {
	Workload engine.Workload `json:"workload"`
	// Set identifies the nodes or replicas, as the status of a pod names it.
	Set string `json:"set"`
	// Of says what the places are: nodes, or the pods of a StatefulSet.
	Of string `json:"of"`
	// Places are these, the project's first one first.
	Places []Place `json:"places"`
}

// Place is a node, or one of several engines with addresses of their own.
type Place struct {
	Name string `json:"name"`
	// Ready is false for a minute after the engine there was ready.
	Ready bool `json:"ready"`
}

// Orders returns the orders of a project whose pods are in a namespace, by its key, among the engines that the pods run.
func Orders(pods []corev1.Pod, namespace, key string) []Order {
	running := cluster.EnginePods(pods)
	ready, _ := engine.NewReady(slices.Values(running), time.Now(), nil)
	var orders []Order
	for w, of := range ready {
		o := Order{Workload: w, Of: "nodes"}
		among := of.Nodes
		if of.Names != nil {
			among, o.Of = of.Names, "pods"
		}
		o.Set = among.ID()
		isReady := map[string]bool{}
		for i := range running {
			if p := &running[i]; p.Workload() == w && p.IsReady() {
				isReady[p.Node], isReady[p.Name] = true, true
			}
		}
		for _, name := range inject.CacheOrder(among, namespace, key) {
			o.Places = append(o.Places, Place{name, isReady[name]})
		}
		orders = append(orders, o)
	}
	slices.SortFunc(orders, func(a, b Order) int { return strings.Compare(a.Workload.String(), b.Workload.String()) })
	return orders
}

// mostPlaces is how many places of an order are written as text.
const mostPlaces = 32

// OrdersText writes orders as a table.
func OrdersText(w io.Writer, orders []Order) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "WORKLOAD\tNUMBER\tNODE OR POD\tREADY")
	for _, o := range orders {
		for i, place := range o.Places {
			ready := "yes"
			switch {
			case i == mostPlaces:
				_, _ = fmt.Fprintf(t, "%s\t\tand %d more\t\n", terminal.Escape(o.Workload.String()), len(o.Places)-i)
			case i > mostPlaces:
			default:
				if !place.Ready {
					ready = "not now"
				}
				_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", terminal.Escape(o.Workload.String()), i+1, terminal.Escape(place.Name), ready)
			}
		}
	}
	return t.Flush()
}
