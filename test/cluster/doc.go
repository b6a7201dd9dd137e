// Package cluster runs a real Kubernetes control plane on this machine, for
// tests and for "make up".
//
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl are
// Kubernetes' own, built from Go modules on first use and kept in the user's
// cache ([Binaries]). Fake nodes, played by kwok, let Pods become Ready without
// a kubelet, and nodes that run Pods as processes ([node.Node]) let them do
// their work, too. Authorization and admission are as in a real cluster, so a
// Deployment becomes ReplicaSets and Pods by the identities that do it there.
//
// Everything listens on free loopback ports and ends with [Cluster.Stop]; on
// Linux it also ends when the process that started it is killed.
package cluster
