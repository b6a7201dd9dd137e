// Package chart installs the Helm chart on a real control plane whose nodes run its Pods for real, as
// processes, with certificates by cert-manager's own controllers: what a cluster does with the chart,
// from the first install to the last uninstall, by Helm 4 and by Helm 3.
//
// All tests share one cluster and run one after another.
package chart
