package cluster

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Memo reads each object and each list once. It is for one run of a command, over which the cluster is taken not to change.
type Memo struct {
	client.Reader
	known map[string]memory
}

type memory struct {
	object any
	err    error
}

// NewMemo returns a Memo of what a reader reads.
func NewMemo(r client.Reader) *Memo { return &Memo{Reader: r, known: map[string]memory{}} }

// Get reads an object, as client.Reader does.
func (m *Memo) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	id := fmt.Sprintf("%T %s %s", into, into.GetObjectKind().GroupVersionKind(), key)
	return m.remember(id, into, func() error { return m.Reader.Get(ctx, key, into, opts...) })
}

// List reads a list, as client.Reader does.
func (m *Memo) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	id := fmt.Sprintf("%T %s %s %d", into, into.GetObjectKind().GroupVersionKind(), o.Namespace, o.Limit)
	if o.LabelSelector != nil {
		id += " l " + o.LabelSelector.String()
	}
	if o.FieldSelector != nil {
		id += " f " + o.FieldSelector.String()
	}
	return m.remember(strings.Clone(id), into, func() error { return m.Reader.List(ctx, into, opts...) })
}

// remember reads into an object, or copies what was read before. The copy is shallow: callers do not modify what they read.
func (m *Memo) remember(id string, into any, read func() error) error {
	value := reflect.ValueOf(into).Elem()
	if known, ok := m.known[id]; ok {
		if known.err == nil {
			value.Set(reflect.ValueOf(known.object))
		}
		return known.err
	}
	err := read()
	m.known[id] = memory{value.Interface(), err}
	return err
}
