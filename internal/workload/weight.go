package workload

import (
	"bytes"
	"fmt"
	"strings"
)

// heaviest bounds what is read off one object, in facts. The largest Pods that are published weigh
// less than 300; what weighs this much takes a second to judge, however few bytes it has, and a
// client could send nothing else. Two hundred and fifty containers with ten mounts each weigh 23,500.
const heaviest = 25_000

// TooHeavyError says that an object has more facts than are read.
type TooHeavyError struct{ Weight int }

// Error implements error.
func (e *TooHeavyError) Error() string {
	return fmt.Sprintf("the object is too large to judge: it has about %d containers, mounts, words, variables, path elements and artifacts, and %d is the most", e.Weight, heaviest)
}

// weigh counts about how many facts an object has.
func (o *Object) weigh() int {
	template := o.template()
	containers, mounts, number, widest := 0, 0, 0, 0
	for _, list := range [][]container{template.Spec.InitContainers, template.Spec.Containers, template.Spec.EphemeralContainers} {
		for i := range list {
			c := &list[i]
			containers += c.weight()
			mounts += len(c.VolumeMounts)
			widest = max(widest, len(c.VolumeMounts))
		}
		number += len(list)
	}
	// Each mount of a volume has all that its driver is told.
	heaviestDriver := 0
	for i := range template.Spec.Volumes {
		if v := &template.Spec.Volumes[i]; v.kind == "csi" || v.kind == "flexVolume" {
			heaviestDriver = max(heaviestDriver, bytes.Count(v.source, []byte{'"'})/4+bytes.Count(v.source, []byte{'/'}))
		}
	}
	// Each artifact has, at the most, each container as a carrier to each mount of the one that reads it.
	artifacts := countAsked(template.Metadata.Annotations) * (4 + 4*widest*number)
	return containers + mounts*heaviestDriver + artifacts
}

func (c *container) weight() int {
	weight := 4
	for i := range c.VolumeMounts {
		depth := strings.Count(c.VolumeMounts[i].MountPath, "/")
		weight += 4 + depth + depth*depth/16 // each element is compared with those around it
	}
	for _, list := range [][]string{c.Command, c.Args} {
		for _, word := range list {
			weight += wordWeight(word)
		}
	}
	for i := range c.Env {
		weight += wordWeight(c.Env[i].Value)
	}
	return weight
}

// wordWeight is more for what may be a path, or a list of them such as a class path.
func wordWeight(word string) int {
	if !strings.HasPrefix(word, "/") {
		return 1
	}
	return 2 + 2*strings.Count(word, ":")
}
