// Package workload reads facts off a manifest: which images, volumes, mounts and commands a
// Pod template declares, and which versions stand where. Facts never judge; policies do.
package workload

// Roles a container can have in a Pod.
const (
	RoleInit      = "init"
	RoleSidecar   = "sidecar" // an init container that stays (restartPolicy: Always)
	RoleMain      = "main"
	RoleEphemeral = "ephemeral"
	RoleVolume    = "volume" // not a container: an image mounted as a volume
)

// Classes of volumes, by whether they say which version they hold.
const (
	// ClassImage is an image mounted as a volume; its reference says the version.
	ClassImage = "image"
	// ClassDeclared is a volume whose driver is told a download, an image or a repository.
	ClassDeclared = "declared"
	// ClassFilled is an emptyDir that something in the Pod may write before it is read.
	ClassFilled = "filled"
	// ClassOpaque is storage from outside the manifest, and every source this version does not know.
	ClassOpaque = "opaque"
	// ClassConfig is a ConfigMap or Secret.
	ClassConfig = "config"
	// ClassPlatform is what the platform itself provides: tokens, the downward API.
	ClassPlatform = "platform"
	// ClassScratch is an emptyDir that nobody fills.
	ClassScratch = "scratch"
)

// Workload is what a manifest says about what it runs: the value of input.workload in policies.
// Groups and lists at its top without members are absent there; every other member is always present.
type Workload struct {
	// Kind is the object's kind, such as "Deployment".
	Kind string `json:"kind" jsonschema:"the object's kind, such as Deployment"`
	// Group is the object's API group, empty for the core group.
	Group string `json:"group" jsonschema:"the object's API group, empty for the core group"`
	// Images are the image references, by what they say.
	Images Images `json:"images" jsonschema:"the image references, grouped by what they say"`
	// Mounts are the volume mounts, by the class of their volume.
	Mounts Mounts `json:"mounts" jsonschema:"the volume mounts, grouped by the class of their volume"`
	// Labels are the values of app.kubernetes.io/version on the object and its template.
	Labels []VersionLabel `json:"labels,omitempty" jsonschema:"each app.kubernetes.io/version label, on the object and on its template"`
	// Applications are the components with the role application; only present beside Labels.
	Applications []Component `json:"applications,omitempty" jsonschema:"the components with the role application; present only where labels is"`
	// Artifacts are what the template asks for by annotations; added by AddArtifacts.
	Artifacts []Artifact `json:"artifacts,omitempty" jsonschema:"the artifacts that the Pod template asks for by annotations"`

	containers []containerFacts
	byName     map[string]*containerFacts // nil until asked for
	volumes    map[string]*volumeFacts
	listed     []*volumeFacts // volumes in the order of the manifest
}

// Images groups image references.
type Images struct {
	// Untagged have neither tag nor digest.
	Untagged []Image `json:"untagged,omitempty" jsonschema:"references with neither tag nor digest"`
	// Tagged have no digest, and a tag that is not an exact version alone: 1, stable, 1.2.3-alpine.
	Tagged []Image `json:"tagged,omitempty" jsonschema:"references without digest whose tag is not an exact version alone, such as 1, stable or 1.2.3-alpine"`
	// Exact have no digest, and a tag that is an exact version and nothing else: 1.27.3.
	Exact []Image `json:"exact,omitempty" jsonschema:"references without digest whose tag is an exact version and nothing else, such as 1.27.3"`
	// Pinned have a digest.
	Pinned []Image `json:"pinned,omitempty" jsonschema:"references with a digest"`
	// Invalid are not image references.
	Invalid []Image `json:"invalid,omitempty" jsonschema:"values that are not image references"`
	// All are those of every other group.
	All []Image `json:"all,omitempty" jsonschema:"every reference, and every value that is none"`
}

// Image is one image reference and where it stands.
type Image struct {
	// Container names the container; empty for an image volume.
	Container string `json:"container" jsonschema:"the container, empty for an image volume"`
	// Volume names the volume; empty for a container.
	Volume string `json:"volume" jsonschema:"the volume, empty for a container"`
	// Role is the container's role, or "volume".
	Role string `json:"role" jsonschema:"init, sidecar, main, ephemeral or volume"`
	// Field is the field path of the reference.
	Field string `json:"field" jsonschema:"the field path of the reference"`
	// Value is the reference as written.
	Value string `json:"value" jsonschema:"the reference as written"`

	ImageName
}

// ImageName is a parsed image reference.
type ImageName struct {
	// Registry is the host, "docker.io" where none is written. Empty if invalid.
	Registry string `json:"registry" jsonschema:"the registry, docker.io where none is written"`
	// Repository is the path in the registry, such as "library/nginx".
	Repository string `json:"repository" jsonschema:"the path in the registry, such as library/nginx"`
	// Name is the repository's last element, such as "nginx".
	Name string `json:"name" jsonschema:"the repository's last element, such as nginx"`
	// Tag is the tag, empty where none is written.
	Tag string `json:"tag" jsonschema:"the tag"`
	// Digest is the digest, such as "sha256:…", empty where none is written.
	Digest string `json:"digest" jsonschema:"the digest, such as sha256:…"`
	// Precision says how much of a version the tag is: exact, floating or moving.
	Precision string `json:"precision" jsonschema:"how much of a version the tag is: exact (1.27.3), floating (1.27) or moving (no digit)"`
	// Words are the words of the tag in lower case: [1.2.3 rc 1] of "1.2.3-RC_1".
	Words []string `json:"words" jsonschema:"the words of the tag in lower case, split at - _ and +"`
	// Error says why the value is not a reference.
	Error string `json:"error" jsonschema:"why the value is not an image reference"`
}

// Mounts groups mounts by the class of their volume.
type Mounts struct {
	Image    []Mount `json:"image,omitempty" jsonschema:"mounts of image volumes"`
	Declared []Mount `json:"declared,omitempty" jsonschema:"mounts of volumes whose driver is told a download, image or repository"`
	Filled   []Mount `json:"filled,omitempty" jsonschema:"mounts of emptyDirs that something in the Pod may write"`
	Opaque   []Mount `json:"opaque,omitempty" jsonschema:"mounts of storage from outside the manifest, and of unknown sources"`
	// Known are those of Opaque whose volume the policies' index knows by one of its keys.
	Known    []Mount `json:"known,omitempty" jsonschema:"mounts of opaque volumes that the index of the policies (data.policies.index.mounts) knows by a path, a name, an image or a command"`
	Config   []Mount `json:"config,omitempty" jsonschema:"mounts of ConfigMaps and Secrets"`
	Platform []Mount `json:"platform,omitempty" jsonschema:"mounts of tokens and the downward API"`
	Scratch  []Mount `json:"scratch,omitempty" jsonschema:"mounts of emptyDirs that nobody fills"`
}

// Mount is one volume mount joined with its volume.
type Mount struct {
	// Container names the container that mounts.
	Container string `json:"container" jsonschema:"the container that mounts"`
	// Role is the container's role.
	Role string `json:"role" jsonschema:"the container's role"`
	// Image is the name of the container's image, such as "tomcat"; empty if it is invalid.
	Image string `json:"image" jsonschema:"the last element of the container's image repository, such as tomcat"`
	// Repository is the repository of that image, such as "library/tomcat".
	Repository string `json:"repository" jsonschema:"the repository of that image, such as library/tomcat"`
	// Path is the mount path, cleaned.
	Path string `json:"path" jsonschema:"the mount path, cleaned"`
	// Above are the folders above Path, the nearest first, without "/".
	Above []string `json:"above" jsonschema:"the folders above path, the nearest first, without /"`
	// Segments are the elements of Path.
	Segments []string `json:"segments" jsonschema:"the elements of path"`
	// Words are the words of Segments in lower case: [var user uploads] of "/var/user-uploads".
	Words []string `json:"words" jsonschema:"the words of the path in lower case, split at / - _ and ."`
	// Ending is what follows the last dot of Path's last element, in lower case; empty without one.
	Ending string `json:"ending" jsonschema:"the ending of the path's last element in lower case, such as war"`
	// Field is the field path of the mount.
	Field string `json:"field" jsonschema:"the field path of the mount"`
	// Volume names the volume.
	Volume string `json:"volume" jsonschema:"the volume"`
	// Type is the volume's source, as its field is called: "persistentVolumeClaim".
	Type string `json:"type" jsonschema:"the volume's source as its field is called, such as persistentVolumeClaim; volumeClaimTemplate for a claim template"`
	// Source is Type and what identifies it: "flexVolume alicloud/disk".
	Source string `json:"source" jsonschema:"type and what identifies it, such as flexVolume alicloud/disk"`
	// Target is what identifies the source alone: a claim's name, a host path, a driver.
	Target string `json:"target" jsonschema:"what identifies the source: a claim's name, a host's path, a driver"`
	// SubPath is the sub path in the volume.
	SubPath string `json:"subPath" jsonschema:"the sub path in the volume"`
	// ReadOnly says that the container cannot write.
	ReadOnly bool `json:"readOnly" jsonschema:"whether the container cannot write"`
	// References are the places in the container that name something at or below Path.
	References []Reference `json:"references" jsonschema:"where the container names something at or below path"`
	// Declarations are what the volume's driver is told to fetch.
	Declarations []Declaration `json:"declarations" jsonschema:"what the volume's driver is told to fetch"`
}

// Kinds of references.
const (
	ReferenceCommand    = "command"
	ReferenceWorkingDir = "workingDir"
	ReferenceEnv        = "env"
	ReferenceHook       = "hook"
)

// Reference is one place where a container names something at or below a mount.
type Reference struct {
	// Kind is command, workingDir, env or hook.
	Kind string `json:"kind" jsonschema:"command, workingDir, env or hook"`
	// Field is the field path, such as "spec.containers[0].args[1]".
	Field string `json:"field" jsonschema:"the field path"`
	// Path is what is named, absolute.
	Path string `json:"path" jsonschema:"what is named, absolute"`
	// Verb is the program of the command, without its folder ("java"); for env, the variable; for
	// workingDir, a program that runs there, empty for the image's own. It is empty for the first
	// of the arguments of a container without a command: the image's own program gets it.
	Verb string `json:"verb" jsonschema:"the command's program without its folder, such as java; the variable's name for env; a program that runs there for workingDir; empty for the image's own program"`
	// Flag is the option that the word belongs to, such as "-jar".
	Flag string `json:"flag" jsonschema:"the option the word belongs to, such as -jar"`
	// Position is 0 for the program itself, else the word's number among those that are no options.
	Position int `json:"position" jsonschema:"0 for the program itself, else the number of the word among those that are not options"`
	// Write says that a shell redirection writes there.
	Write bool `json:"write" jsonschema:"whether a shell redirection writes there"`
}

// Kinds of declarations.
const (
	DeclarationURL        = "url"
	DeclarationImage      = "image"
	DeclarationRepository = "repository"
)

// Declaration is what a volume's driver is told to fetch.
type Declaration struct {
	// Kind is url, image or repository.
	Kind string `json:"kind" jsonschema:"url, image or repository"`
	// Field is the field path of the attribute.
	Field string `json:"field" jsonschema:"the field path of the attribute"`
	// Value is the attribute's value, without credentials.
	Value string `json:"value" jsonschema:"the attribute's value, without credentials"`
	// Version is the version that the value names, empty if none can be read.
	Version string `json:"version" jsonschema:"the version that the value names"`
	// Precision is exact, floating, moving or digest; empty without a version.
	Precision string `json:"precision" jsonschema:"exact, floating, moving or digest"`
	// Segments are the elements of a URL's path.
	Segments []string `json:"segments" jsonschema:"the elements of the URL's path"`
}

// VersionLabel is one app.kubernetes.io/version label.
type VersionLabel struct {
	// Field is the field path of the label.
	Field string `json:"field" jsonschema:"the field path of the label"`
	// Value is its value.
	Value string `json:"value" jsonschema:"the label's value"`
}
