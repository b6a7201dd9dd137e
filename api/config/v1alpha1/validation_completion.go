package v1alpha1

import (
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateCompletion(c *Completion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[string]bool, len(c.Profiles))
	for i := range c.Profiles {
		p, profilePath := &c.Profiles[i], path.Child("profiles").Index(i)
		errs = append(errs, validateName(p.Name, seen, profilePath.Child("name"))...)
		errs = append(errs, validateMatch(&p.Match, profilePath.Child("match"))...)
		errs = append(errs, validateCopy(p, profilePath)...)
		errs = append(errs, validateInit(p, profilePath.Child("init"))...)
	}
	if c.Resources != nil {
		errs = append(errs, validateClasses(c.Resources.Classes, path.Child("resources", "classes"))...)
	}
	if c.Labels != nil {
		errs = append(errs, validateLabelValues(c.Labels.Values, path.Child("labels", "values"))...)
	}
	return errs
}

func validateName(name string, seen map[string]bool, path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return field.ErrorList{field.Required(path, "the annotation plainspec.dev/artifact-profile chooses a profile by its name")}
	case len(validation.IsDNS1123Label(name)) > 0:
		return field.ErrorList{field.Invalid(path, name, "must be at most 63 lower case letters, digits and dashes, starting and ending with a letter or a digit")}
	case seen[name]:
		return field.ErrorList{field.Duplicate(path, name)}
	}
	seen[name] = true
	return nil
}

func validateMatch(m *Match, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(m.Servers) == 0 && len(m.Images) == 0 {
		errs = append(errs, field.Required(path, "name servers of the catalog in servers, or repositories in images"))
	}
	for i, server := range m.Servers {
		if server == "" {
			errs = append(errs, field.Required(path.Child("servers").Index(i), `write the name of a server of the catalog, such as "tomcat"`))
		}
	}
	for i, repository := range m.Images {
		errs = append(errs, validateRepository(repository, path.Child("images").Index(i))...)
	}
	for i, repository := range m.Artifacts {
		errs = append(errs, validateRepository(repository, path.Child("artifacts").Index(i))...)
	}
	return errs
}

// validateRepository checks that some image can be of a repository: an entry that none can match would silently leave a
// profile without effect.
func validateRepository(repository string, path *field.Path) field.ErrorList {
	if repository == "" {
		return field.ErrorList{field.Required(path, `write a repository, such as "shop/server" or "registry.example.com/shop/server"`)}
	}
	named, err := reference.ParseNormalizedNamed(repository)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, repository, "must be a repository: "+err.Error())}
	case !reference.IsNameOnly(named):
		return field.ErrorList{field.Invalid(path, repository, "must have no tag and no digest: a profile is for every version")}
	case named.Name() != repository && !strings.HasSuffix(named.Name(), "/"+repository):
		return field.ErrorList{field.Invalid(path, repository, "is no image's full name: write "+named.Name())}
	}
	return nil
}

// validateCopy checks what is copied, and where to.
func validateCopy(p *Profile, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if systems := []OS{Linux, Windows}; !slices.Contains(systems, p.OS) {
		errs = append(errs, field.NotSupported(path.Child("os"), p.OS, systems))
	}
	file, folder := strings.CutSuffix(p.Source, "/")
	if p.Source == "" {
		errs = append(errs, field.Required(path.Child("source"), `write what is copied: a file, such as "/app.war", or a folder, such as "/app/"`))
	} else {
		errs = append(errs, validatePath(file, p.Source, path.Child("source"))...)
	}
	switch {
	case p.Rename == "":
	case folder:
		errs = append(errs, field.Forbidden(path.Child("rename"), "only a file can be renamed, and source is a folder"))
	case strings.ContainsAny(p.Rename, `/\`), p.Rename == ".", p.Rename == "..":
		errs = append(errs, field.Invalid(path.Child("rename"), p.Rename, "must be the name of a file, without a folder"))
	}
	if p.Target == "" {
		errs = append(errs, field.Required(path.Child("target"), "write the folder that the server reads"))
	} else {
		errs = append(errs, validateMountPath(p.Target, path.Child("target"))...)
	}
	if folder && !p.HideTarget {
		errs = append(errs, field.Required(path.Child("hideTarget"),
			"a folder is mounted over the target, which hides what the server's image has there: write true if that is safe, or name a file in source"))
	}
	return errs
}

// validatePath checks a path in a container; shown is the path as it was written.
func validatePath(p, shown string, at *field.Path) field.ErrorList {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return field.ErrorList{field.Invalid(at, shown, `must be an absolute path below "/", without "." and ".." and doubled slashes`)}
	}
	return nil
}

// validateMountPath checks a path that a volume is mounted at, which Kubernetes wants to have no colon.
func validateMountPath(p string, at *field.Path) field.ErrorList {
	if strings.HasSuffix(p, "/") {
		return field.ErrorList{field.Invalid(at, p, "must not end with a slash")}
	}
	if strings.Contains(p, ":") {
		return field.ErrorList{field.Invalid(at, p, "must have no colon")}
	}
	return validatePath(p, p, at)
}

func validateInit(p *Profile, path *field.Path) field.ErrorList {
	s := &p.Init
	errs := validateMountPath(s.MountPath, path.Child("mountPath"))
	if source := strings.TrimSuffix(p.Source, "/"); len(errs) == 0 && (within(source, s.MountPath) || within(s.MountPath, source)) {
		errs = append(errs, field.Invalid(path.Child("mountPath"), s.MountPath, "must be outside of source, which the volume would hide: choose another path"))
	}
	if p.OS == Windows && len(s.Command) == 0 {
		errs = append(errs, field.Required(path.Child("command"), "there is no cp on windows: write the command that brings source to mountPath"))
	}
	if len(s.Command) > 0 && s.Command[0] == "" {
		errs = append(errs, field.Required(path.Child("command").Index(0), "write the program"))
	}
	errs = append(errs, validateUser(p, path)...)
	if s.Resources != nil {
		errs = append(errs, validateRequirements(s.Resources, path.Child("resources"))...)
	}
	if s.SizeLimit != nil {
		errs = append(errs, validateAmount(*s.SizeLimit, path.Child("sizeLimit"))...)
	}
	return errs
}

// within reports whether a path is folder or below it.
func within(p, folder string) bool {
	return folder != "" && (p == folder || strings.HasPrefix(p, folder+"/"))
}

func validateUser(p *Profile, path *field.Path) field.ErrorList {
	user, because := p.Init.User, strings.TrimSpace(p.Init.RootBecause)
	root := user != nil && *user == 0
	switch {
	case user != nil && p.OS == Windows:
		return field.ErrorList{field.Forbidden(path.Child("user"), "windows has no user ids")}
	case user != nil && (*user < 0 || *user > math.MaxInt32):
		return field.ErrorList{field.Invalid(path.Child("user"), *user, "must be from 0 to 2147483647")}
	case root && because == "":
		return field.ErrorList{field.Required(path.Child("rootBecause"), "say why the copy must run as root, or choose another user")}
	case !root && p.Init.RootBecause != "":
		return field.ErrorList{field.Forbidden(path.Child("rootBecause"), "only user 0 is root")}
	}
	return nil
}

func validateClasses(classes []ResourceClass, path *field.Path) field.ErrorList {
	if len(classes) == 0 {
		return field.ErrorList{field.Required(path, "write at least one class, or leave out resources")}
	}
	var errs field.ErrorList
	for i := range classes {
		class, classPath := &classes[i], path.Index(i)
		errs = append(errs, validateNamespaces(class.Namespaces, classPath.Child("namespaces"))...)
		if len(class.Namespaces) == 0 && i < len(classes)-1 {
			errs = append(errs, field.Required(classPath.Child("namespaces"), "without them a class is for every namespace, and those after it are never taken: name some, or move it to the end"))
		}
		for _, role := range []struct {
			name         string
			requirements *corev1.ResourceRequirements
		}{{"main", class.Main}, {"init", class.Init}, {"sidecar", class.Sidecar}} {
			if role.requirements != nil {
				errs = append(errs, validateRequirements(role.requirements, classPath.Child(role.name))...)
			}
		}
	}
	return errs
}

func validateNamespaces(patterns []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, pattern := range patterns {
		if pattern == "" {
			errs = append(errs, field.Required(at.Index(i), `write a name or a pattern, such as "team-*"`))
		} else if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, field.Invalid(at.Index(i), pattern, `must be a pattern such as "team-*": a bracket is not closed, or nothing follows a backslash`))
		}
	}
	return errs
}

// filledResources are what is filled in. Others, such as GPUs, are asked for by who needs them.
var filledResources = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

func validateRequirements(r *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Claims) > 0 {
		errs = append(errs, field.Forbidden(path.Child("claims"), "only requests and limits are filled in"))
	}
	errs = append(errs, validateAmounts(r.Requests, nil, path.Child("requests"))...)
	return append(errs, validateAmounts(r.Limits, r.Requests, path.Child("limits"))...)
}

// validateAmounts checks amounts, and that each is at least what a second list says, if it does.
func validateAmounts(list, least corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		at, amount := path.Key(string(name)), list[name]
		if !slices.Contains(filledResources, name) {
			errs = append(errs, field.NotSupported(at, name, filledResources))
			continue
		}
		wrong := validateAmount(amount, at)
		errs = append(errs, wrong...)
		bound, bounded := least[name]
		if bounded && len(wrong) == 0 && len(validateAmount(bound, at)) == 0 && amount.Cmp(bound) < 0 {
			errs = append(errs, field.Invalid(at, amount.String(), "must be at least the request, which is "+bound.String()))
		}
	}
	return errs
}

// validateAmount checks that an amount is one of a machine. To compare 1e99999999 with another takes minutes.
func validateAmount(amount resource.Quantity, path *field.Path) field.ErrorList {
	switch {
	case amount.Sign() <= 0:
		return field.ErrorList{field.Invalid(path, amount.String(), "must be greater than 0")}
	case amount.AsApproximateFloat64() >= math.MaxInt64:
		return field.ErrorList{field.Invalid(path, amount.String(), "is more than any machine has")}
	}
	return nil
}

func validateLabelValues(values map[string]string, path *field.Path) field.ErrorList {
	known := []string{"component", "managed-by", "part-of"}

	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch value := values[key]; {
		case !slices.Contains(known, key):
			errs = append(errs, field.NotSupported(path.Key(key), key, known))
		case value == "":
			errs = append(errs, field.Required(path.Key(key), "write a value, or leave out the label"))
		case key == "managed-by" && value == "Helm":
			// Helm takes what carries it for its own, and refuses it if no release knows it.
			errs = append(errs, field.Invalid(path.Key(key), value, "must not be Helm, who marks what it manages itself"))
		case len(validation.IsValidLabelValue(value)) > 0:
			errs = append(errs, field.Invalid(path.Key(key), value,
				`must be at most 63 letters, digits, "-", "_" and ".", starting and ending with a letter or a digit`))
		}
	}
	return errs
}
