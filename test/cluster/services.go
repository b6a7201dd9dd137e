package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"

	"plainspec.dev/plainspec/test/node"
)

// dialTimeout bounds a connection to a process of this machine.
const dialTimeout = 5 * time.Second

// egressConfig sends what kube-apiserver sends into the cluster, such as reviews to webhooks, through a proxy.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport:
        uds:
          udsName: %q
`

// services does for the API server what kube-proxy does on its machine, without root: it connects the
// address of a Service to a Pod that is ready. It is an HTTP proxy that knows CONNECT alone.
type services struct {
	listener net.Listener
	config   string // path of the API server's configuration
	dir      string // of the socket
	log      *slog.Logger
	ctx      context.Context //nolint:containedctx // connections live as long as the cluster

	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	next     atomic.Uint64 // for the round robin

	mu    sync.Mutex // guards nodes
	nodes []*node.Node
}

// prepareServices listens, before the API server is started.
func (c *Cluster) prepareServices(ctx context.Context) error {
	log, err := c.openLog("services")
	if err != nil {
		return err
	}
	s := &services{
		config: filepath.Join(c.certDir(), "egress.yaml"),
		log:    slog.New(slog.NewTextHandler(log, nil)),
	}
	// The path of a socket has at most 107 bytes, and the cluster's folder may be a deep one.
	if s.dir, err = os.MkdirTemp("", "plainspec-services-"); err != nil {
		return fmt.Errorf("create folder for a socket: %w", err)
	}
	c.services = s
	socket := filepath.Join(s.dir, "socket")
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "unix", socket); err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	if err := os.WriteFile(s.config, fmt.Appendf(nil, egressConfig, socket), 0o600); err != nil {
		return fmt.Errorf("write egress configuration: %w", err)
	}
	return nil
}

// startServices answers, until the cluster's life ends.
func (c *Cluster) startServices() error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	s := c.services
	s.ctx = c.lifetime
	factory := informers.NewSharedInformerFactory(client, 0)
	s.services = factory.Core().V1().Services().Lister()
	s.slices = factory.Discovery().V1().EndpointSlices().Lister()
	factory.Start(c.lifetime.Done())
	factory.WaitForCacheSync(c.lifetime.Done())
	server := &http.Server{Handler: s, ReadHeaderTimeout: dialTimeout}
	c.children.Go(func() error {
		if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("connect to Services: %w", err)
		}
		return nil
	})
	c.children.Go(func() error {
		<-c.lifetime.Done()
		factory.Shutdown()
		return server.Close()
	})
	return nil
}

// close removes the socket. Closing twice is no error.
func (s *services) close() error {
	if s.listener != nil {
		_ = s.listener.Close() // the HTTP server may have done it
	}
	return os.RemoveAll(s.dir)
}

// add makes the Pods of a node reachable.
func (s *services) add(n *node.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, n)
}

// ServeHTTP implements http.Handler: it joins the connection with one to a Pod.
func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	backend, err := s.connect(r.Context(), r.RequestURI)
	if r.Method != http.MethodConnect {
		err = errors.New("only CONNECT is answered")
	}
	if err != nil {
		s.log.Warn("no connection", "to", r.RequestURI, "err", err)
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer backend.Close()
	front, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.log.Error("take over a connection", "err", err)
		return
	}
	defer front.Close()
	if _, err := io.WriteString(front, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	// The end of either side ends both, and so does the cluster's. What is under way to a Pod that is
	// ending stays until the Pod closes it, as behind kube-proxy.
	group, ctx := errgroup.WithContext(s.ctx)
	defer context.AfterFunc(ctx, func() {
		_ = front.Close()
		_ = backend.Close()
	})()
	for from, to := range map[net.Conn]net.Conn{front: backend, backend: front} {
		group.Go(func() error {
			_, err := io.Copy(to, from)
			return errors.Join(err, io.EOF)
		})
	}
	_ = group.Wait() // how a connection ends is not said to anybody
}

// connect opens a connection to one of the Pods behind the address of a Service.
func (s *services) connect(ctx context.Context, address string) (net.Conn, error) {
	backends, err := s.backends(address)
	if err != nil {
		return nil, err
	}
	if len(backends) == 0 {
		return nil, fmt.Errorf("no Pod behind %s is ready", address)
	}
	backend := backends[s.next.Add(1)%uint64(len(backends))]
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", backend.String())
	if err != nil {
		return nil, fmt.Errorf("connect to a Pod: %w", err)
	}
	return connection, nil
}

// backends returns where the Pods listen that are ready behind the address of a Service; if there is
// none, those that are ending and still serve, as kube-proxy does. A Pod's address is its own.
func (s *services) backends(address string) ([]netip.AddrPort, error) {
	if pod, err := netip.ParseAddrPort(address); err == nil {
		if host, ok := s.local(pod.Addr()); ok {
			return []netip.AddrPort{netip.AddrPortFrom(host, pod.Port())}, nil
		}
	}
	service, port, err := s.find(address)
	if err != nil {
		return nil, err
	}
	all, err := s.slices.EndpointSlices(service.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}))
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	var ready, ending []netip.AddrPort
	for _, slice := range all {
		target, ok := portNamed(slice.Ports, port.Name)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			host, ok := s.localEndpoint(endpoint)
			conditions := endpoint.Conditions
			switch {
			case !ok:
			case conditions.Ready == nil || *conditions.Ready:
				ready = append(ready, netip.AddrPortFrom(host, target))
			case conditions.Serving != nil && *conditions.Serving:
				ending = append(ending, netip.AddrPortFrom(host, target))
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.SortFunc(ready, netip.AddrPort.Compare) // a round needs an order
	return ready, nil
}

// find returns the Service of an address, and which of its ports is meant.
func (s *services) find(address string) (*corev1.Service, corev1.ServicePort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, corev1.ServicePort{}, fmt.Errorf("read address: %w", err)
	}
	all, err := s.services.List(labels.Everything())
	if err != nil {
		return nil, corev1.ServicePort{}, fmt.Errorf("list Services: %w", err)
	}
	for _, service := range all {
		if service.Spec.ClusterIP != host {
			continue
		}
		for _, port := range service.Spec.Ports {
			if strconv.Itoa(int(port.Port)) == portText {
				return service, port, nil
			}
		}
	}
	return nil, corev1.ServicePort{}, errors.New("neither a Service nor a Pod that runs as a process has this address")
}

func portNamed(ports []discoveryv1.EndpointPort, name string) (uint16, bool) {
	for _, port := range ports {
		if port.Port != nil && (port.Name == nil && name == "" || port.Name != nil && *port.Name == name) {
			return uint16(*port.Port), true
		}
	}
	return 0, false
}

// localEndpoint returns where the Pod of an endpoint listens; false if it only plays.
func (s *services) localEndpoint(endpoint *discoveryv1.Endpoint) (netip.Addr, bool) {
	if len(endpoint.Addresses) == 0 {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(endpoint.Addresses[0])
	if err != nil {
		return netip.Addr{}, false
	}
	return s.local(address)
}

// local returns where the Pod with an address listens.
func (s *services) local(podIP netip.Addr) (netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if address, ok := n.Loopback(podIP); ok {
			return address, true
		}
	}
	return netip.Addr{}, false
}
