// Package certificates runs the real server with certificates that cert-manager's real controllers issue, inject and
// renew, before a real kube-apiserver that asks it all the time.
package certificates
