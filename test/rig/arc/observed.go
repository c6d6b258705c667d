package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	scaleset "github.com/actions/actions-runner-controller/apis/actions.github.com/v1alpha1"
	legacy "github.com/actions/actions-runner-controller/apis/actions.summerwind.net/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// observed is a controller's client that reports what tests wait for.
type observed struct{ client.Client }

// Get reports a reconciliation: each begins with reading the runner.
func (o observed) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := o.Client.Get(ctx, key, object, options...)
	switch object.(type) {
	case *scaleset.EphemeralRunner:
		report("reconcile EphemeralRunner %s", key.Namespace)
	case *legacy.Runner:
		report("reconcile Runner %s", key.Namespace)
	}
	return err
}

// Create reports how the creation of a pod was answered, and when.
func (o observed) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	err := o.Client.Create(ctx, object, options...)
	if _, isPod := object.(*corev1.Pod); isPod {
		code, message := int32(http.StatusCreated), ""
		if err != nil {
			code, message = 0, strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if status := apierrors.APIStatus(nil); errors.As(err, &status) {
			code = status.Status().Code
		}
		report("create %s %d %d %s", object.GetNamespace(), code, time.Now().UnixMilli(), message)
	}
	return err
}

// report prints a line at once: the logs go to the same reader.
func report(format string, values ...any) {
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", values...)
}
