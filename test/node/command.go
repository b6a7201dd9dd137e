package node

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// accountPath is where Pods find their service account.
const accountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// environment returns a container's variables, each with its value.
func environment(object *corev1.Pod, container *corev1.Container) ([]corev1.EnvVar, error) {
	var env []corev1.EnvVar
	for _, variable := range container.Env {
		value, err := "", error(nil)
		switch from := variable.ValueFrom; {
		case from == nil:
			value = expand(variable.Value, env)
		case from.FieldRef != nil:
			value, err = fieldValue(object, from.FieldRef.FieldPath)
		case from.ResourceFieldRef != nil:
			value, err = resourceValue(container, from.ResourceFieldRef)
		default:
			err = fmt.Errorf("this node does not know where variable %s comes from", variable.Name)
		}
		if err != nil {
			return nil, err
		}
		env = append(env, corev1.EnvVar{Name: variable.Name, Value: value})
	}
	return env, nil
}

// fieldValue is what a fieldRef refers to.
func fieldValue(object *corev1.Pod, path string) (string, error) {
	if value, ok := map[string]string{
		"metadata.name":           object.Name,
		"metadata.namespace":      object.Namespace,
		"metadata.uid":            string(object.UID),
		"spec.nodeName":           object.Spec.NodeName,
		"spec.serviceAccountName": object.Spec.ServiceAccountName,
		"status.podIP":            object.Status.PodIP,
		"status.hostIP":           object.Status.HostIP,
	}[path]; ok {
		return value, nil
	}
	return "", fmt.Errorf("this node does not know the field %q", path)
}

// resourceValue is what a resourceFieldRef refers to, in units of its divisor, rounded up.
func resourceValue(container *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := map[string]corev1.ResourceList{"limits": container.Resources.Limits, "requests": container.Resources.Requests}[kind]
	amount, ok := list[corev1.ResourceName(name)]
	if !ok {
		return "", fmt.Errorf("the container does not set %q", ref.Resource)
	}
	divisor := ref.Divisor.MilliValue()
	if divisor == 0 {
		divisor = 1000
	}
	return strconv.FormatInt((amount.MilliValue()+divisor-1)/divisor, 10), nil
}

// reference is what Kubernetes replaces in arguments and values, or keeps apart from that with "$$".
var reference = regexp.MustCompile(`\$(\$|\([^)]*\))`)

// expand replaces references to variables; unknown ones stay.
func expand(text string, env []corev1.EnvVar) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		name := found[2 : len(found)-1]
		for _, variable := range slices.Backward(env) {
			if variable.Name == name {
				return variable.Value
			}
		}
		return found
	})
}

func expandAll(args []string, env []corev1.EnvVar) []string {
	expanded := make([]string, len(args))
	for i, arg := range args {
		expanded[i] = expand(arg, env)
	}
	return expanded
}

// anyHost is an address that leaves open on which interface to listen.
var anyHost = regexp.MustCompile(`^:\d+$`)

// localize replaces in arguments, or in their values after "=", what a process without a file system
// and a network of its own needs to be different: paths in volumes, by where the volumes are, and
// addresses without a host, by the Pod's.
func localize(args []string, places map[string]string, host string) []string {
	// The longest first: a volume may be mounted in another.
	mountPaths := slices.SortedFunc(maps.Keys(places), func(a, b string) int { return len(b) - len(a) })
	local := make([]string, len(args))
	for i, arg := range args {
		flag, value, isFlag := strings.Cut(arg, "=")
		if !isFlag {
			flag, value = "", arg
		} else {
			flag += "="
		}
		if anyHost.MatchString(value) {
			value = host + value
		}
		for _, mountPath := range mountPaths {
			if rest, ok := strings.CutPrefix(value, mountPath); ok && (rest == "" || rest[0] == '/') {
				value = places[mountPath] + rest
				break
			}
		}
		local[i] = flag + value
	}
	return local
}

// writeKubeconfig says in a file what clients in a Pod find out by themselves: where the API server is,
// and that the token in the service account's folder says who asks. It returns the file's path.
func writeKubeconfig(dir, account string, config *rest.Config) (string, error) {
	path := filepath.Join(dir, "kubeconfig")
	authority, token := filepath.Join(account, corev1.ServiceAccountRootCAKey), filepath.Join(account, corev1.ServiceAccountTokenKey)
	for _, file := range []string{authority, token} {
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%w: %w", errNoAccount, err)
		}
	}
	const name = "pod"
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthority: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {TokenFile: token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
	if err != nil {
		return "", fmt.Errorf("write kubeconfig: %w", err)
	}
	return path, nil
}
