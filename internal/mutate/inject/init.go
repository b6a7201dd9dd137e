package inject

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// copyUser is the user who copies: the one that images without root use by convention ("nonroot" of
// distroless).
const copyUser = 65532

// addInit makes an init container that copies the files into a volume that it shares with the
// server.
func addInit(b *build, a *artifact) *Problem {
	if problem := checkPrivilege(b.spec, a); problem != nil {
		return problem
	}
	shared, problem := b.share(a)
	if problem != nil {
		return problem
	}
	b.inits = append(b.inits, initContainer{a, corev1.Container{
		Name:            name(&a.Asked),
		Image:           a.Asked.Value,
		Command:         copyCommand(a.profile),
		Resources:       copyResources(b.spec, &a.profile.Init),
		VolumeMounts:    []corev1.VolumeMount{{Name: shared.volume.Name, MountPath: a.profile.Init.MountPath}},
		SecurityContext: restricted(b.spec, a.profile),
	}})
	return nil
}

// copyCommand is the profile's command, or else cp: of a file, or of what is in a folder.
func copyCommand(p *v1alpha1.Profile) []string {
	switch {
	case len(p.Init.Command) > 0:
		return slices.Clone(p.Init.Command)
	case file(p) == "":
		return []string{"cp", "-R", p.Source + ".", p.Init.MountPath}
	case p.Rename != "":
		return []string{"cp", p.Source, path.Join(p.Init.MountPath, p.Rename)}
	default:
		return []string{"cp", p.Source, p.Init.MountPath}
	}
}

// copyResources are the profile's, or else requests that are also limits, so that a Guaranteed Pod
// stays one. What the Pod limits for all its containers together is not set for one, nor is what it
// requests less of than the copy would. To leave out all that it requests would not do: the API
// server fills in the Pod's requests from those of its containers, so from the copy's.
func copyResources(spec *corev1.PodSpec, s *v1alpha1.InitStrategy) corev1.ResourceRequirements {
	var resources corev1.ResourceRequirements
	if s.Resources != nil {
		resources = *s.Resources.DeepCopy()
	} else {
		amounts := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
		resources = corev1.ResourceRequirements{Requests: amounts, Limits: amounts.DeepCopy()}
	}
	if spec.Resources != nil {
		drop := func(name corev1.ResourceName) {
			delete(resources.Requests, name)
			delete(resources.Limits, name)
		}
		for name := range spec.Resources.Limits {
			drop(name)
		}
		for name, budget := range spec.Resources.Requests {
			request, ok := resources.Requests[name]
			if !ok {
				request = resources.Limits[name] // what the API server makes the request of a Pod
			}
			if Exceeds(request, budget) {
				drop(name)
			}
		}
	}
	return resources
}

// restricted is the security context that the restricted Pod Security Standard asks for: what the
// checks of k8s.io/pod-security-admission/policy (0.37) read of a container is either set here
// (allowPrivilegeEscalation, capabilities, runAsNonRoot, runAsUser, seccompProfile) or left at its
// default (privileged, procMount, seLinuxOptions, appArmorProfile, windowsOptions, ports, probes);
// Windows Pods are exempt from all but runAsNonRoot. The read-only root is ours: a copy needs none.
// What a Pod says more strictly for all its containers stays.
func restricted(spec *corev1.PodSpec, p *v1alpha1.Profile) *corev1.SecurityContext {
	if p.OS == v1alpha1.Windows {
		return &corev1.SecurityContext{RunAsNonRoot: new(true)}
	}
	sc := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	var pod corev1.PodSecurityContext
	if spec.SecurityContext != nil {
		pod = *spec.SecurityContext
	}
	switch {
	case p.Init.User != nil:
		sc.RunAsUser = new(*p.Init.User)
		if *p.Init.User == 0 {
			sc.RunAsNonRoot = nil
		}
	case pod.RunAsUser == nil || *pod.RunAsUser == 0:
		sc.RunAsUser = new(int64(copyUser))
	}
	if pod.SeccompProfile != nil && pod.SeccompProfile.Type == corev1.SeccompProfileTypeLocalhost {
		sc.SeccompProfile = nil // narrower than the runtime's
	}
	return sc
}

// checkPrivilege finds rights that the copy would have though the Pod or the server goes without
// them, or though no profile says why it needs them.
func checkPrivilege(spec *corev1.PodSpec, a *artifact) *Problem {
	choose := annotation(workload.ProfileAnnotation, &a.Asked)
	says := func(who string, nonRoot *bool, user *int64, windows *corev1.WindowsSecurityContextOptions) *Problem {
		root := a.profile.Init.User != nil && *a.profile.Init.User == 0
		switch {
		case windows != nil && windows.HostProcess != nil && *windows.HostProcess:
			return newProblem(Privilege, "%s runs as a process of the host (windowsOptions.hostProcess), and so would the artifact's image; bring the artifact in another way", who)
		case root && nonRoot != nil && *nonRoot:
			return newProblem(Privilege, "profile %q copies as root, and %s says runAsNonRoot: true; choose another profile with %s", a.profile.Name, who, choose)
		case root && user != nil && *user != 0:
			return newProblem(Privilege, "profile %q copies as root, and %s says runAsUser: %d; choose another profile with %s", a.profile.Name, who, *user, choose)
		}
		return nil
	}
	if s := spec.SecurityContext; s != nil {
		if problem := says("the Pod", s.RunAsNonRoot, s.RunAsUser, s.WindowsOptions); problem != nil {
			return problem
		}
	}
	if s := a.server.SecurityContext; s != nil {
		return says("container "+quote(a.Container), s.RunAsNonRoot, s.RunAsUser, s.WindowsOptions)
	}
	return nil
}
