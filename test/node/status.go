package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// writeStatus tells the API server what has become of the Pod, as kubelet does, if that is new.
func (p *pod) writeStatus(ctx context.Context, object *corev1.Pod) error {
	status := p.status(&object.Spec.Containers[0])
	if p.written != nil && equality.Semantic.DeepEqual(p.written, &status) {
		return nil
	}
	pods := p.node.client.CoreV1().Pods(object.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := pods.Get(ctx, object.Name, metav1.GetOptions{})
		if err != nil || current.UID != object.UID {
			return err
		}
		merge(&current.Status, &status)
		_, err = pods.UpdateStatus(ctx, current, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	p.written = &status
	return nil
}

// merge puts what this node says in place of what it said before. Conditions of others stay.
func merge(into, status *corev1.PodStatus) {
	into.Phase, into.HostIP, into.HostIPs = status.Phase, status.HostIP, status.HostIPs
	into.PodIP, into.PodIPs = status.PodIP, status.PodIPs
	into.ContainerStatuses = status.ContainerStatuses
	if into.StartTime == nil {
		now := metav1.Now()
		into.StartTime = &now
	}
	for _, wanted := range status.Conditions {
		setCondition(into, wanted)
	}
}

// setCondition adds or replaces a condition; its time is that of the last change.
func setCondition(status *corev1.PodStatus, wanted corev1.PodCondition) {
	wanted.LastTransitionTime = metav1.Now()
	for i := range status.Conditions {
		if existing := &status.Conditions[i]; existing.Type == wanted.Type {
			if existing.Status == wanted.Status {
				wanted.LastTransitionTime = existing.LastTransitionTime
			}
			*existing = wanted
			return
		}
	}
	status.Conditions = append(status.Conditions, wanted)
}

// status is what the Pod is on this node.
func (p *pod) status(container *corev1.Container) corev1.PodStatus {
	c := corev1.ContainerStatus{
		Name: container.Name, Image: container.Image, ImageID: p.node.Images[container.Image], RestartCount: p.restarts, Started: new(bool),
	}
	phase := corev1.PodPending
	if p.last != nil {
		phase = corev1.PodRunning
		c.LastTerminationState.Terminated = p.last
	}
	switch {
	case p.process == nil:
		c.State.Waiting = &corev1.ContainerStateWaiting{Reason: p.waiting, Message: p.message}
	case p.process.ended():
		phase = corev1.PodFailed
		c.State.Terminated = p.process.terminated()
		if c.State.Terminated.ExitCode == 0 {
			phase = corev1.PodSucceeded
		}
	default:
		phase = corev1.PodRunning
		c.ContainerID = fmt.Sprintf("process://%d", p.process.id())
		c.State.Running = &corev1.ContainerStateRunning{StartedAt: p.process.started}
		*c.Started, c.Ready = p.probes.started(), p.probes.ready()
	}
	condition := func(kind corev1.PodConditionType, holds bool, reason string) corev1.PodCondition {
		if holds {
			return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue}
		}
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason}
	}
	const notReady = "ContainersNotReady"
	return corev1.PodStatus{
		Phase:  phase,
		HostIP: hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}},
		PodIP: p.address.String(), PodIPs: []corev1.PodIP{{IP: p.address.String()}},
		ContainerStatuses: []corev1.ContainerStatus{c},
		Conditions: []corev1.PodCondition{
			condition(corev1.PodReadyToStartContainers, true, ""),
			condition(corev1.PodInitialized, true, ""),
			condition(corev1.PodReady, c.Ready, notReady),
			condition(corev1.ContainersReady, c.Ready, notReady),
		},
	}
}
