package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// namespaceTimeout bounds the wait for a new namespace's service account, which
// the controllers make within a second when the machine is idle.
const namespaceTimeout = time.Minute

// CreateNamespace creates a namespace; it is no error if it exists. With
// controllers it also waits for the service account that Pods need.
func CreateNamespace(ctx context.Context, config *rest.Config, name string, controllers bool) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %q: %w", name, err)
	}
	if !controllers {
		return nil
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, namespaceTimeout, true, func(ctx context.Context) (bool, error) {
		return accountIn(ctx, client, name) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the service account of namespace %q: %w", name, err)
	}
	return nil
}
