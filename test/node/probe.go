package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probes are what kubelet asks one run of a container.
type probes struct {
	startup, liveness, readiness *probe
}

func newProbes(container *corev1.Container, host string, now time.Time) probes {
	// Without a probe, kubelet takes the answer for yes. With one, a container lives until the opposite
	// is known, and is neither started nor ready before that is.
	return probes{
		startup:   newProbe(container, container.StartupProbe, host, now, false),
		liveness:  newProbe(container, container.LivenessProbe, host, now, true),
		readiness: newProbe(container, container.ReadinessProbe, host, now, false),
	}
}

// started tells whether the container has come up.
func (p *probes) started() bool { return p.startup.holds() }

// ready tells whether it can be sent requests.
func (p *probes) ready() bool { return p.started() && p.readiness.holds() }

// look asks what is due, and tells whether the container may go on.
func (p *probes) look(ctx context.Context, now time.Time) bool {
	if !p.started() {
		p.startup.look(ctx, now)
		return !p.startup.failed()
	}
	p.liveness.look(ctx, now)
	p.readiness.look(ctx, now)
	return p.liveness.holds()
}

// lookIfReady asks a container that is ending only what it still serves.
func (p *probes) lookIfReady(ctx context.Context, now time.Time) {
	if p.started() {
		p.readiness.look(ctx, now)
	}
}

// grace is what a container that is restarted gets to end.
func (p *probes) grace(object *corev1.Pod) time.Duration {
	for _, failed := range []*probe{p.startup, p.liveness} {
		if failed != nil && failed.failed() && failed.TerminationGracePeriodSeconds != nil {
			return time.Duration(*failed.TerminationGracePeriodSeconds) * time.Second
		}
	}
	return time.Duration(*object.Spec.TerminationGracePeriodSeconds) * time.Second
}

// probe is one question and its answers so far; nil is one that is not asked.
type probe struct {
	*corev1.Probe

	url    string
	client *http.Client

	next   time.Time
	last   bool  // answer
	run    int32 // how many in a row are like the last one
	result bool
}

func newProbe(container *corev1.Container, p *corev1.Probe, host string, now time.Time, result bool) *probe {
	if p == nil {
		return nil
	}
	get := p.HTTPGet
	url := strings.ToLower(string(cmp.Or(get.Scheme, corev1.URISchemeHTTP))) + "://" +
		net.JoinHostPort(host, portNumber(container, get.Port)) + "/" + strings.TrimPrefix(get.Path, "/")
	return &probe{
		Probe: p, url: url, result: result,
		next: now.Add(time.Duration(p.InitialDelaySeconds) * time.Second),
		client: &http.Client{
			Timeout: time.Duration(p.TimeoutSeconds) * time.Second,
			// kubelet does not know whom to trust either.
			Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		},
	}
}

// portNumber resolves the name of a port.
func portNumber(container *corev1.Container, port intstr.IntOrString) string {
	for _, named := range container.Ports {
		if port.Type == intstr.String && named.Name == port.StrVal {
			return strconv.Itoa(int(named.ContainerPort))
		}
	}
	return port.String()
}

func (p *probe) holds() bool { return p == nil || p.result }

// failed tells whether the answer has been no for as often as it may be.
func (p *probe) failed() bool { return p != nil && !p.last && p.run >= p.FailureThreshold }

// look asks if it is time.
func (p *probe) look(ctx context.Context, now time.Time) {
	if p == nil || now.Before(p.next) {
		return
	}
	p.next = now.Add(time.Duration(p.PeriodSeconds) * time.Second)
	answer := p.ask(ctx) == nil
	if answer != p.last {
		p.last, p.run = answer, 0
	}
	p.run++
	threshold := p.FailureThreshold
	if answer {
		threshold = p.SuccessThreshold
	}
	if p.run >= threshold {
		p.result = answer
	}
}

func (p *probe) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return err
	}
	for _, header := range p.HTTPGet.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}
