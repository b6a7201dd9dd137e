// Package node runs Pods as processes of this machine, where a kubelet would run containers.
//
// A [Node] registers itself, is Ready, and runs the one container of each Pod that is bound to it: the
// program that stands for its image, with the Pod's arguments, environment, volumes and service
// account. Probes decide whether it is ready and when it is restarted, volumes follow their ConfigMaps
// and Secrets, and a deleted Pod gets its SIGTERM and its grace period. So a chart that is installed
// here runs as what it says, without root and without a container runtime.
//
// A process sees the whole machine, which makes two differences. Paths below a volume's mount path are
// replaced in arguments by where the volume really is, and an address without a host (":9443") gets the
// Pod's own loopback address; nothing else of the arguments is changed. Security context, resources and
// what else isolates a container have no effect. Whatever else a Pod asks for that this node cannot do
// keeps the Pod from starting, and its status says so.
//
// It needs Linux, where every address in 127.0.0.0/8 is the machine itself.
package node
