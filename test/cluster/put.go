package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Store is where the API server keeps objects of one kind; the clients of client-go are such.
type Store[T metav1.Object] interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (T, error)
	Create(ctx context.Context, object T, options metav1.CreateOptions) (T, error)
	Update(ctx context.Context, object T, options metav1.UpdateOptions) (T, error)
}

// Put creates an object that has no namespace, or replaces the one that is there: in a cluster that
// is continued, a webhook's address and authority are new.
func Put[T metav1.Object](ctx context.Context, in Store[T], wanted T) error {
	existing, err := in.Get(ctx, wanted.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = in.Create(ctx, wanted, metav1.CreateOptions{})
	case err == nil:
		wanted.SetResourceVersion(existing.GetResourceVersion())
		_, err = in.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", wanted.GetName(), err)
	}
	return nil
}
