package engines

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// Order is where the pods of a project go by its cache, for one engine.
type Order struct {
	Workload engine.Workload `json:"workload"`
	// Set identifies the nodes or replicas, as the status of a pod names it.
	Set string `json:"set"`
	// Of says what the places are: nodes, which count for jobs that use the engine of their node, or pods, which count for jobs that
	// use one of a StatefulSet's replicas by its address.
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
		isReady := map[string]bool{}
		for i := range running {
			if p := &running[i]; p.Workload() == w && p.IsReady() {
				isReady[p.Node], isReady[p.Name] = true, true
			}
		}
		add := func(what string, among *rendezvous.Set) {
			o := Order{Workload: w, Of: what, Set: among.ID()}
			for _, name := range inject.CacheOrder(among, namespace, key) {
				o.Places = append(o.Places, Place{name, isReady[name]})
			}
			orders = append(orders, o)
		}
		add("nodes", of.Nodes)
		if of.Names.Len() > 1 {
			add("pods", of.Names)
		}
	}
	slices.SortFunc(orders, func(a, b Order) int {
		return cmp.Or(strings.Compare(a.Workload.String(), b.Workload.String()), strings.Compare(a.Of, b.Of))
	})
	return orders
}

// mostPlaces is how many places of an order are written as text.
const mostPlaces = 32

// OrdersText writes orders as a table.
func OrdersText(w io.Writer, orders []Order) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "WORKLOAD\tOF\tNUMBER\tNAME\tREADY")
	for _, o := range orders {
		for i, place := range o.Places {
			ready := "yes"
			switch {
			case i == mostPlaces:
				_, _ = fmt.Fprintf(t, "%s\t%s\t\tand %d more\t\n", terminal.Escape(o.Workload.String()), o.Of, len(o.Places)-i)
			case i > mostPlaces:
			default:
				if !place.Ready {
					ready = "not now"
				}
				_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", terminal.Escape(o.Workload.String()), o.Of, i+1, terminal.Escape(place.Name), ready)
			}
		}
	}
	return t.Flush()
}
