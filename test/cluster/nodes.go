package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"plainspec.dev/plainspec/test/node"
)

// startNodes creates the fake nodes and runs kwok, which plays them.
func (c *Cluster) startNodes(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	for i := range c.options.Nodes {
		node := fakeNode(fmt.Sprintf("fake-node-%d", i+1))
		_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node: %w", err)
		}
	}
	// kubelets belong to no group with such rights; kwok plays all of them
	// and their garbage collection at once.
	kubeconfig, err := c.User("kwok", "system:masters")
	if err != nil {
		return err
	}
	_, err = c.Run(Program{Name: "kwok", Path: c.assets.Kwok, Args: []string{
		"--kubeconfig=" + kubeconfig,
		"--config=" + c.assets.Stages,
		"--manage-all-nodes=false",
		"--manage-nodes-with-label-selector=type=kwok", // the others run processes
		"--node-lease-duration-seconds=40",
	}})
	return err
}

// startProcessNodes registers and runs the nodes that run Pods as processes.
func (c *Cluster) startProcessNodes(ctx context.Context) error {
	kubeconfig, err := c.User("process-nodes", "system:masters") // as for kwok
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	log, err := c.openLog("nodes")
	if err != nil {
		return err
	}
	for i := range c.options.ProcessNodes {
		name := fmt.Sprintf("process-node-%d", i+1)
		n, err := node.New(node.Options{
			Name: name, Config: config, Images: c.options.Images, Tether: c.assets.Tether,
			Dir: filepath.Join(c.dir, "pods", name), LogDir: c.options.LogDir,
			Log: slog.New(slog.NewTextHandler(log, nil)).With("node", name),
		})
		if err != nil {
			return err
		}
		if err := n.Register(ctx); err != nil {
			return err
		}
		c.services.add(n)
		c.children.Go(func() error { return n.Run(c.lifetime) })
	}
	return nil
}

// fakeNode is what a kubelet would register. kwok fills in the capacity.
func fakeNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			corev1.LabelHostname:            name,
			corev1.LabelOSStable:            "linux",
			corev1.LabelArchStable:          "amd64",
			"type":                          "kwok",
			"node-role.kubernetes.io/agent": "",
		},
		Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
	}}
}
