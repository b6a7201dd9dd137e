package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// refreshInterval is how often volumes follow what they show. kubelet takes up to a minute and a half.
	refreshInterval = time.Second
	// firstBackoff and longestBackoff are the times before a container is started again: kubelet starts
	// with 10 s and doubles it up to 5 min, which is long to wait for on one's own machine.
	firstBackoff   = time.Second
	longestBackoff = 30 * time.Second
	// offGrace is what a process gets to end when the node is switched off.
	offGrace = 2 * time.Second
)

// pod is one Pod on this node. Only run changes it, but for object and finished.
type pod struct {
	node    *Node
	dir     string
	address netip.Addr
	log     *slog.Logger
	volumes *volumes

	object   atomic.Pointer[corev1.Pod] // as it is now; nil once it is gone
	finished atomic.Bool

	refreshed time.Time // when the volumes were last looked at
	waiting   string    // why the container does not run, as a reason of Kubernetes
	message   string    // the same for people
	process   *process  // nil if it does not run
	last      *corev1.ContainerStateTerminated
	restarts  int32
	startAt   time.Time // not before, after a failure
	probes    probes
	written   *corev1.PodStatus
}

// run is the Pod's life on this node. It ends when the Pod is gone or the node is switched off.
func (p *pod) run(ctx context.Context) {
	defer p.finished.Store(true)
	defer os.RemoveAll(p.dir)
	first := p.object.Load()
	p.restarts = restartsBefore(first)
	if err := checkSupported(&first.Spec); err != nil {
		p.wait("CreateContainerConfigError", err)
	}
	alive, end := context.WithCancel(ctx)
	every(alive, tick, func() {
		object := p.object.Load()
		switch {
		case object == nil: // deleted by force
			p.stop(0)
			end()
		case object.DeletionTimestamp != nil:
			if p.terminate(ctx, object) {
				end()
			}
		default:
			p.advance(ctx, object)
		}
	})
	end()
	p.stop(offGrace)
}

// restartsBefore counts on where a Pod was run before, by a node that was switched off.
func restartsBefore(object *corev1.Pod) int32 {
	for _, status := range object.Status.ContainerStatuses {
		if status.State.Running != nil || status.LastTerminationState.Terminated != nil {
			return status.RestartCount + 1
		}
	}
	return 0
}

func (p *pod) wait(reason string, err error) {
	if p.message != err.Error() {
		p.log.Info("waiting", "reason", reason, "err", err)
	}
	p.waiting, p.message = reason, err.Error()
}

// advance does what is due for a Pod that is to run, and tells its status.
func (p *pod) advance(ctx context.Context, object *corev1.Pod) {
	now := time.Now()
	switch {
	case p.waiting == "CreateContainerConfigError":
	case p.process == nil:
		p.start(ctx, object, now)
	case p.process.ended():
		p.fail(now)
	default:
		if now.Sub(p.refreshed) >= refreshInterval {
			if err := p.refresh(ctx, object, now); err != nil && ctx.Err() == nil {
				p.log.Info("a volume stays as it is", "err", err)
			}
		}
		if alive := p.probes.look(ctx, now); !alive {
			p.log.Info("restarting, since a probe failed")
			p.stop(p.probes.grace(object))
			p.fail(time.Now())
		}
	}
	p.tell(ctx, object)
}

// refresh makes the volumes as they are to be.
func (p *pod) refresh(ctx context.Context, object *corev1.Pod, now time.Time) error {
	p.refreshed = now
	return p.volumes.refresh(ctx, p.shown(object), now)
}

// shown is the Pod with what this node knows before the API server does.
func (p *pod) shown(object *corev1.Pod) *corev1.Pod {
	object = object.DeepCopy()
	object.Status.PodIP, object.Status.HostIP = p.address.String(), hostIP
	return object
}

// start runs the container if its volumes are there and it need not wait.
func (p *pod) start(ctx context.Context, object *corev1.Pod, now time.Time) {
	if now.Before(p.startAt) {
		return
	}
	// Neither is worth more than a look a second.
	p.startAt = now.Add(refreshInterval)
	if err := p.refresh(ctx, object, now); err != nil {
		p.wait("ContainerCreating", err)
		return
	}
	container := object.Spec.Containers[0]
	program, known := p.node.Images[container.Image]
	if !known {
		p.wait("ErrImagePull", fmt.Errorf("no program stands for image %q", container.Image))
		return
	}
	c, err := p.newCommand(p.shown(object), program)
	if err != nil {
		p.wait("CreateContainerError", err)
		return
	}
	if p.process, err = startProcess(p.node.Tether, c, p.node.logPath(object)); err != nil {
		p.wait("RunContainerError", err)
		return
	}
	p.log.Info("started", "program", c.program, "arguments", c.args, "process", p.process.id())
	p.waiting, p.message = "", ""
	p.probes = newProbes(&container, loopback(p.address).String(), now)
}

// fail notes that the container ended and when it is to be started again.
func (p *pod) fail(now time.Time) {
	p.last = p.process.terminated()
	p.process = nil
	backoff := min(firstBackoff<<min(p.restarts, 10), longestBackoff)
	p.restarts++
	p.startAt = now.Add(backoff)
	p.wait("CrashLoopBackOff", fmt.Errorf("back-off %s after exit code %d", backoff, p.last.ExitCode))
}

// stop ends the process, if there is one, with so much time to end by itself.
func (p *pod) stop(grace time.Duration) {
	if p.process != nil {
		p.process.stop(grace)
	}
}

// terminate ends a Pod that is being deleted step by step, and tells whether it is gone.
func (p *pod) terminate(ctx context.Context, object *corev1.Pod) bool {
	now := time.Now()
	if p.process != nil && !p.process.ended() {
		// The API server has added the grace period to the time of the deletion.
		p.process.signalOnce(syscall.SIGTERM)
		if now.After(object.DeletionTimestamp.Time) {
			p.log.Info("killed, since its grace period is over")
			p.process.signal(syscall.SIGKILL)
		}
		// What still serves while it drains is said to be ready, so that reviews that come all the same can go there.
		p.probes.lookIfReady(ctx, now)
		p.tell(ctx, object)
		return false
	}
	p.tell(ctx, object)
	seconds := int64(0)
	err := p.node.client.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &seconds, Preconditions: &metav1.Preconditions{UID: &object.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		p.log.Error("delete the Pod that has ended", "err", err)
		return false
	}
	p.log.Info("ended")
	return true
}

// tell writes the Pod's status if it has changed.
func (p *pod) tell(ctx context.Context, object *corev1.Pod) {
	if err := p.writeStatus(ctx, object); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
		p.log.Error("write the Pod's status", "err", err)
	}
}

// newCommand is how a Pod's container is run.
func (p *pod) newCommand(object *corev1.Pod, program string) (command, error) {
	container := object.Spec.Containers[0]
	env, err := environment(object, &container)
	if err != nil {
		return command{}, err
	}
	c := command{program: program, args: expandAll(container.Args, env), dir: p.dir}
	places := map[string]string{}
	for _, mount := range container.VolumeMounts {
		places[path.Clean(mount.MountPath)] = p.volumes.path(mount.Name)
	}
	c.args = localize(c.args, places, loopback(p.address).String())
	for _, variable := range env {
		c.env = append(c.env, variable.Name+"="+variable.Value)
	}
	if account, ok := places[accountPath]; ok {
		// Where the API server is and who asks: the file is what a Pod finds in its service account's folder.
		file, err := writeKubeconfig(p.dir, account, p.node.Config)
		if err != nil {
			return command{}, err
		}
		c.env = append(c.env, "KUBECONFIG="+file)
	}
	c.env = append(c.env, "HOSTNAME="+object.Name, "PATH="+cmp.Or(os.Getenv("PATH"), "/usr/bin:/bin"))
	return c, nil
}

// errNoAccount says that a volume of a service account is not what it must be.
var errNoAccount = errors.New("the service account's volume has no ca.crt or no token")
