package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Completion says what is filled in where a manifest leaves it out. Nothing is, by default.
type Completion struct {
	// Profiles describe the servers that artifacts can be injected into. For an artifact that names no profile, the
	// first one that matches is taken.
	Profiles []Profile `json:"profiles,omitempty"`

	// Resources are the requests and limits of containers that have none. Default: none are filled in.
	Resources *Resources `json:"resources,omitempty"`

	// Labels are the recommended labels that are filled in. Default: none.
	Labels *Labels `json:"labels,omitempty"`
}

// ConcernsAll reports whether something is filled in that nobody has to ask for: then each object has to be looked at, not
// only those with an annotation of Plainspec.
func (c *Completion) ConcernsAll() bool { return c.Resources != nil || c.Labels != nil }

// ConcernsPods reports whether the Pods that controllers make are completed, too: with resources.
func (c *Completion) ConcernsPods() bool { return c.Resources != nil }

// OS is an operating system that containers run on.
type OS string

const (
	// Linux is the default.
	Linux OS = "linux"
	// Windows is for Pods whose spec.os or node selector says so.
	Windows OS = "windows"
)

// Profile describes a server: which containers it is, where it reads an application from, and how the application's
// files get there from an artifact.
type Profile struct {
	// Name is what the annotation plainspec.dev/artifact-profile names: a DNS label. Required.
	Name string `json:"name"`

	// Match says which containers, and which artifacts, the profile is for. Required: a server or an image.
	Match Match `json:"match"`

	// OS is the operating system of the Pods that the profile is for: linux or windows. Default: linux.
	OS OS `json:"os,omitempty"`

	// Source is what is copied, an absolute path in the artifact's image: a file ("/app.war"), or, ending with a slash,
	// what is in a folder ("/app/"). Required.
	Source string `json:"source"`

	// Rename is the name that a copied file gets in the target folder, such as "ROOT.war". Default: its own.
	Rename string `json:"rename,omitempty"`

	// Target is the folder that the server reads, an absolute path in its container. Required.
	Target string `json:"target"`

	// HideTarget says that hiding what the server's image has in the target folder is safe. Then a volume is mounted
	// over the folder. If it is false, only the copied file is mounted into it, which a folder cannot be.
	HideTarget bool `json:"hideTarget,omitempty"`

	// ReadOnly says that the server needs not write there: its mount is read-only.
	ReadOnly bool `json:"readOnly,omitempty"`

	// Init says how an init container copies the files.
	Init InitStrategy `json:"init,omitempty"`
}

// Match says what a profile is for. Servers and Images are alternatives; Artifacts narrows them.
type Match struct {
	// Servers are servers of the policies' catalog (data.catalog.servers), such as "tomcat": a container matches if
	// the catalog knows the last element of its image's repository as one of them (data.catalog.images).
	Servers []string `json:"servers,omitempty"`

	// Images are repositories, with a registry or without: "shop/server" matches it in every registry.
	Images []string `json:"images,omitempty"`

	// Artifacts are repositories of artifacts, written like Images. Default: every artifact.
	Artifacts []string `json:"artifacts,omitempty"`
}

// InitStrategy says how an init container copies an artifact's files into a volume that it shares with the server.
type InitStrategy struct {
	// MountPath is where the init container sees the shared volume: outside of Source, which it would hide. Default:
	// /plainspec/artifact.
	MountPath string `json:"mountPath,omitempty"`

	// Command replaces the copying command, for artifact images without `cp`. It must bring the source to MountPath.
	// Default: cp SOURCE MOUNTPATH. Required for windows.
	Command []string `json:"command,omitempty"`

	// User is the user id that copies. It must be able to read the source. Default: the Pod's own user if it names one
	// that is not root, else 65532. Not for windows.
	User *int64 `json:"user,omitempty"`

	// RootBecause says why the copy runs as root, which the restricted Pod Security Standard forbids. Required if User
	// is 0, and forbidden otherwise.
	RootBecause string `json:"rootBecause,omitempty"`

	// Resources are the init container's requests and limits. Default: 100m CPU and 64Mi memory, requests as limits,
	// so that a Guaranteed Pod stays one. An empty object means none, so that the namespace's LimitRange decides.
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// SizeLimit bounds the shared volume. Default: none.
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// Resources are default requests and limits. They are filled in on Pods as they are created, after the namespace's
// LimitRange; what a manifest or a LimitRange says stays.
type Resources struct {
	// Templates also fills them in on the Pod templates of Deployments and the like, where no LimitRange has been
	// applied: a Pod that the LimitRange then forbids is not made. Default: false.
	Templates bool `json:"templates,omitempty"`

	// Classes are the defaults, by namespace: the first that matches is taken. Required: one.
	Classes []ResourceClass `json:"classes"`
}

// ResourceClass is the requests and limits of containers in some namespaces, by the container's role.
type ResourceClass struct {
	// Namespaces are names or patterns ("team-*", as in path.Match). Default: every namespace.
	Namespaces []string `json:"namespaces,omitempty"`

	// Main is for the containers that make up the Pod.
	Main *corev1.ResourceRequirements `json:"main,omitempty"`

	// Init is for init containers that end.
	Init *corev1.ResourceRequirements `json:"init,omitempty"`

	// Sidecar is for init containers that stay (restartPolicy: Always).
	Sidecar *corev1.ResourceRequirements `json:"sidecar,omitempty"`
}

// Labels say which recommended labels (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/)
// are filled in where they are missing. All but the version are set on the object itself only: on Pods, they could make
// other people's Services, NetworkPolicies and PodDisruptionBudgets select them.
type Labels struct {
	// Version sets app.kubernetes.io/version, on the object and on its Pod template, to the version of the application
	// if the manifest runs exactly one.
	Version bool `json:"version,omitempty"`

	// Name sets app.kubernetes.io/name to the name of that application.
	Name bool `json:"name,omitempty"`

	// Instance sets app.kubernetes.io/instance to the object's name.
	Instance bool `json:"instance,omitempty"`

	// Values are fixed values for component, part-of and managed-by, by the label's name without its prefix.
	// managed-by is never set on what Helm manages.
	Values map[string]string `json:"values,omitempty"`
}
