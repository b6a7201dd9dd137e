package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

// Label is on nodes of this package, with the value "processes", and is the key of their taint: only
// Pods that select the one and tolerate the other are meant to run as processes.
const (
	Label      = "plainspec.dev/local-node"
	LabelValue = "processes"
)

const (
	// tick is the time between two looks at a Pod: short beside the second that is the shortest
	// period of a probe.
	tick = 100 * time.Millisecond
	// leaseDuration is kubelet's; it is renewed four times as often.
	leaseDuration = 40 * time.Second
	// hostIP is the address of the node itself.
	hostIP = "127.0.0.1"
)

// Options say what a node is. All but Images are required.
type Options struct {
	// Name of the node.
	Name string
	// Config reaches the API server with all rights.
	Config *rest.Config
	// Images are the programs that stand for images: path by image, as Pods write it.
	Images map[string]string
	// Tether is the program through which others are run, so that they end with this process.
	Tether string
	// Dir gets a folder for each Pod, removed when the Pod ends.
	Dir string
	// LogDir gets a file for each Pod, with what it prints: NAMESPACE_NAME.log.
	LogDir string
	// Log gets what the node does.
	Log *slog.Logger
}

// Node runs Pods. Make it with [New].
type Node struct {
	Options

	client  kubernetes.Interface
	network netip.Prefix // of its Pods
	given   int          // addresses, so that one is used again as late as can be
}

// New returns a node that neither is registered nor runs.
func New(o Options) (*Node, error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("create node: Pods get loopback addresses of their own, which only Linux has")
	}
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("create node: %w", err)
	}
	// By chance, because several clusters may run on one machine; 10.0.0.0/16 is where they have their Services.
	network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(1 + rand.IntN(255)), byte(rand.IntN(256)), 0}), 24)
	return &Node{Options: o, client: client, network: network}, nil
}

// Loopback returns the address of this machine that a Pod of this node listens on. Kubernetes refuses
// loopback addresses in endpoints, so Pods call themselves 10.x.y.z and listen on 127.x.y.z.
func (n *Node) Loopback(podIP netip.Addr) (netip.Addr, bool) {
	if !n.network.Contains(podIP) {
		return netip.Addr{}, false
	}
	return loopback(podIP), true
}

func loopback(podIP netip.Addr) netip.Addr {
	bytes := podIP.As4()
	bytes[0] = 127
	return netip.AddrFrom4(bytes)
}

// Register makes the node known and Ready. A node of this name that is there already is taken over.
func (n *Node) Register(ctx context.Context) error {
	nodes := n.client.CoreV1().Nodes()
	if _, err := nodes.Create(ctx, n.object(), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register node: %w", err)
	}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		node, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		node.Status = n.object().Status
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("register node: %w", err)
	}
	return n.renewLease(ctx)
}

func (n *Node) object() *corev1.Node {
	now := metav1.Now()
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("64"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{
			corev1.LabelHostname:   n.Name,
			corev1.LabelOSStable:   runtime.GOOS,
			corev1.LabelArchStable: runtime.GOARCH,
			Label:                  LabelValue,
		}},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: Label, Value: LabelValue, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Addresses:   []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: hostIP}, {Type: corev1.NodeHostName, Address: n.Name}},
			NodeInfo:    corev1.NodeSystemInfo{OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH, ContainerRuntimeVersion: "process://1"},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "runs Pods as processes",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
}

// renewLease tells the controllers that the node lives.
func (n *Node) renewLease(ctx context.Context) error {
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now, seconds := metav1.NowMicro(), int32(leaseDuration/time.Second)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, n.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.Name}, Spec: spec}, metav1.CreateOptions{})
	case err == nil:
		lease.Spec = spec
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renew the node's lease: %w", err)
	}
	return nil
}

// Run runs the Pods that are bound to the node until ctx ends, and ends them then: as a node does that
// is switched off, so their objects stay.
func (n *Node) Run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.Name).String()
	}))
	lister := factory.Core().V1().Pods().Lister()
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	factory.WaitForCacheSync(ctx.Done())

	var group errgroup.Group
	group.Go(func() error {
		every(ctx, leaseDuration/4, func() {
			if err := n.renewLease(ctx); err != nil && ctx.Err() == nil {
				n.Log.Error("the node may be taken for dead", "err", err)
			}
		})
		return nil
	})
	workers := map[types.UID]*pod{}
	every(ctx, tick, func() { n.assign(ctx, lister, workers, &group) })
	return group.Wait()
}

// every calls do now and then, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// assign gives each Pod a worker, and each worker its Pod as it is now; nil once the Pod is gone.
func (n *Node) assign(ctx context.Context, lister corelisters.PodLister, workers map[types.UID]*pod, group *errgroup.Group) {
	maps.DeleteFunc(workers, func(_ types.UID, p *pod) bool { return p.finished.Load() })
	objects, err := lister.List(labels.Everything())
	if err != nil {
		n.Log.Error("list Pods", "err", err) // of a cache, which has no errors
		return
	}
	there := map[types.UID]bool{}
	for _, object := range objects {
		there[object.UID] = true
		switch p, known := workers[object.UID]; {
		case known:
			p.object.Store(object)
		case isOver(object):
		default:
			if p, err = n.newPod(object, workers); err != nil {
				n.Log.Error("run Pod", "pod", object.Name, "err", err)
				continue
			}
			workers[object.UID] = p
			group.Go(func() error {
				p.run(ctx)
				return nil
			})
		}
	}
	for uid, p := range workers {
		if !there[uid] {
			p.object.Store(nil)
		}
	}
}

// isOver tells whether nothing of a Pod is to be run any more.
func isOver(object *corev1.Pod) bool {
	return object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
}

func (n *Node) newPod(object *corev1.Pod, workers map[types.UID]*pod) (*pod, error) {
	address, err := n.freeAddress(workers)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(n.Dir, string(object.UID))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the Pod's folder: %w", err)
	}
	p := &pod{
		node:    n,
		dir:     dir,
		address: address,
		log:     n.Log.With("pod", object.Namespace+"/"+object.Name),
		volumes: &volumes{client: n.client, dir: filepath.Join(dir, "volumes")},
	}
	p.object.Store(object)
	return p, nil
}

// freeAddress returns an address that no Pod has. The first two and the last mean something else in a network.
func (n *Node) freeAddress(workers map[types.UID]*pod) (netip.Addr, error) {
	used := slices.Collect(maps.Values(workers))
	for range 253 {
		bytes := n.network.Addr().As4()
		bytes[3] = byte(2 + n.given%253)
		n.given++
		address := netip.AddrFrom4(bytes)
		if !slices.ContainsFunc(used, func(p *pod) bool { return p.address == address }) {
			return address, nil
		}
	}
	return netip.Addr{}, errors.New("give the Pod an address: all are taken")
}

// logPath is the file with what a Pod prints.
func (n *Node) logPath(object *corev1.Pod) string {
	return filepath.Join(n.LogDir, strings.Join([]string{object.Namespace, object.Name}, "_")+".log")
}
