package workload

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"plainspec.dev/plainspec/internal/redact"
)

// volumeFacts is what a volume says.
type volumeFacts struct {
	name         string
	kind         string
	source       string
	target       string
	class        string
	image        string // an image volume's reference
	imageField   string
	declarations []Declaration

	writer *container // the first container that can write it
	shared bool       // another one can, too

	mounts  []mountOf // where it is mounted
	indexed *bool     // whether the index knows it; nil until asked
}

// mountOf is one mount of a volume.
type mountOf struct {
	container *containerFacts
	mount     *mountFacts
}

// Index says by what policies know a volume.
type Index struct {
	// Mounts has keys of mounts, told apart by their form: a mount path or a folder above it
	// ("/var/www"), an element of it ("www/"), its ending (".war"), the last word of the source's
	// name if a number follows ("-claim" of "web-claim0"), the image of a container that mounts the
	// volume ("image:git"), and the kind and verb of a reference to it, with 0 for a program by its
	// path ("command:python", "command:0", "workingDir:").
	Mounts map[string]bool
	// Names has the words that names of volumes and sources may be made of, true for those that
	// mean code.
	Names map[string]bool
}

// known reports whether an index knows the volume.
func (v *volumeFacts) known(index *Index) bool {
	if v.indexed == nil {
		found := index.knowsName(v.name) || index.knowsName(v.target) || index.knowsLastWord(v.target) ||
			slices.ContainsFunc(v.mounts, func(m mountOf) bool { return m.pathIn(index.Mounts) || m.useIn(index.Mounts) })
		v.indexed = &found
	}
	return *v.indexed
}

// knowsName reports whether a name is made of the index's words alone and one of them means code.
func (x *Index) knowsName(name string) bool {
	code := false
	for _, word := range words(name, isSeparator) {
		if word = strings.TrimRight(word, "0123456789"); word == "" {
			continue
		}
		means, ok := x.Names[word]
		if !ok {
			return false
		}
		code = code || means
	}
	return code
}

// knowsLastWord looks up the last word of a name that a number follows: "-claim" of "web-claim0".
func (x *Index) knowsLastWord(name string) bool {
	trimmed := strings.TrimRight(name, "0123456789")
	i := strings.LastIndexByte(trimmed, '-')
	return i >= 0 && len(trimmed) < len(name) && x.Mounts[trimmed[i:]]
}

func (m *mountOf) pathIn(index map[string]bool) bool {
	p := m.mount.path
	if len(p) > longestPath {
		return false
	}
	if e := ending(p); e != "" && index["."+e] {
		return true
	}
	for ; p != "/"; p = parent(p) {
		if index[p] || index[p[strings.LastIndexByte(p, '/')+1:]+"/"] {
			return true
		}
	}
	return false
}

func (m *mountOf) useIn(index map[string]bool) bool {
	if index["image:"+m.container.image.Name] {
		return true
	}
	m.container.words()
	return slices.ContainsFunc(m.mount.references, func(r Reference) bool {
		if r.Position == 0 && r.Flag == "" && (r.Kind == ReferenceCommand || r.Kind == ReferenceHook) {
			return index[r.Kind+":0"]
		}
		return index[r.Kind+":"+r.Verb]
	})
}

// claimTemplate is the type of volumes that a StatefulSet's volumeClaimTemplates make.
const claimTemplate = "volumeClaimTemplate"

// clusterCertificate is the ConfigMap that Kubernetes puts into each namespace, and mounts beside
// each service account's token.
const clusterCertificate = "kube-root-ca.crt"

// sources maps each volume source that says its class by its type alone. Of others readVolume asks
// what they hold; what it does not know is opaque: a source that a later Kubernetes adds, too.
var sources = map[string]string{
	"emptyDir":    ClassScratch, // or filled, once the Pod's writers are known
	"":            ClassScratch, // the API server makes it an emptyDir
	"configMap":   ClassConfig,
	"secret":      ClassConfig,
	"downwardAPI": ClassPlatform,
}

// sourceFields are the fields, in this order, that identify a source to a reader.
type sourceFields struct {
	Driver       string            `json:"driver"`
	ClaimName    string            `json:"claimName"`
	Path         string            `json:"path"`
	Server       string            `json:"server"`
	Name         string            `json:"name"`
	SecretName   string            `json:"secretName"`
	VolumeID     string            `json:"volumeID"`
	PDName       string            `json:"pdName"`
	DiskName     string            `json:"diskName"`
	ShareName    string            `json:"shareName"`
	VolumePath   string            `json:"volumePath"`
	TargetPortal string            `json:"targetPortal"`
	IQN          string            `json:"iqn"`
	Reference    string            `json:"reference"`
	Repository   string            `json:"repository"`
	Revision     string            `json:"revision"`
	Options      map[string]string `json:"options"`
	Attributes   map[string]string `json:"volumeAttributes"`
	Sources      []struct {
		ConfigMap *struct {
			Name string `json:"name"`
		} `json:"configMap"`
		Secret jsontext.Value `json:"secret"`
	} `json:"sources"`
}

func (f *sourceFields) target() string {
	if f.Server != "" {
		return f.Server + ":" + f.Path
	}
	for _, value := range []string{
		f.Driver, f.ClaimName, f.Path, f.Name, f.SecretName, f.VolumeID, f.PDName, f.DiskName, f.ShareName, f.VolumePath, f.IQN, f.TargetPortal,
		f.Reference, withoutCredentials(f.Repository),
	} {
		if value != "" {
			return value
		}
	}
	return ""
}

// readVolume reads one volume; field is its field path. A source whose fields have other types
// than expected keeps the class of its type, and says nothing else.
func readVolume(v *volume, field string, images *imageParser) volumeFacts {
	facts := volumeFacts{name: v.name, kind: v.kind, class: ClassOpaque}
	if class, ok := sources[v.kind]; ok {
		facts.class = class
	}
	var fields sourceFields
	if err := json.Unmarshal(v.source, &fields); err != nil {
		fields = sourceFields{}
	}
	field += "." + v.kind
	switch v.kind {
	case "":
		facts.kind = "emptyDir"
	case "image":
		facts.class, facts.image, facts.imageField = ClassImage, fields.Reference, field+".reference"
	case "projected":
		facts.class = ClassPlatform
		for _, s := range fields.Sources {
			if s.ConfigMap != nil && s.ConfigMap.Name != clusterCertificate || s.Secret != nil {
				facts.class = ClassConfig
			}
		}
	case "flexVolume":
		facts.declarations = declarations(fields.Options, field+".options", images)
	case "csi":
		facts.declarations = declarations(fields.Attributes, field+".volumeAttributes", images)
	case "gitRepo":
		facts.declarations = []Declaration{gitRepository(&fields, field)}
	}
	if len(facts.declarations) > 0 {
		facts.class = ClassDeclared
	}
	facts.target = fields.target()
	facts.source = strings.TrimSuffix(facts.kind+" "+facts.target, " ")
	return facts
}

// declarations finds the attributes of a driver that name a download or an image.
func declarations(attributes map[string]string, field string, images *imageParser) []Declaration {
	var found []Declaration
	for key, value := range attributes {
		d, ok := declaration(key, value, images)
		if !ok {
			continue
		}
		d.Field = field + "." + key
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b Declaration) int { return strings.Compare(a.Field, b.Field) })
	return found
}

// declaration reads one attribute. It is a download if its key says so ("downloadURL") or if it
// is a URL of a file with an archive's ending; the URL of a server or bucket is none. It is an
// image if its key is "image" or ends with it.
func declaration(key, value string, images *imageParser) (Declaration, bool) {
	lower := strings.ToLower(key)
	u, err := url.Parse(redact.Userinfo(value))
	if isURL := err == nil && u.Scheme != "" && u.Host != ""; isURL {
		if !strings.Contains(lower, "download") && !hasExtension(u.Path) {
			return Declaration{}, false
		}
		d := Declaration{Kind: DeclarationURL, Value: withoutCredentials(value), Version: versionInURL(u)}
		if trimmed := strings.Trim(u.Path, "/"); trimmed != "" {
			d.Segments = strings.Split(trimmed, "/")
		}
		if d.Version != "" {
			d.Precision = tagPrecision(d.Version)
		}
		return d, true
	}
	if !strings.HasSuffix(lower, "image") {
		return Declaration{}, false
	}
	name := images.parse(value)
	if name.Error != "" {
		return Declaration{}, false
	}
	return Declaration{Kind: DeclarationImage, Value: value, Version: name.version(), Precision: name.Precision}, true
}

func gitRepository(fields *sourceFields, field string) Declaration {
	d := Declaration{Kind: DeclarationRepository, Field: field + ".repository", Value: withoutCredentials(fields.Repository), Version: fields.Revision}
	if d.Version != "" {
		d.Field = field + ".revision"
		d.Precision = tagPrecision(d.Version)
	}
	return d
}

func hasExtension(p string) bool {
	return slices.ContainsFunc(extensions, func(ext string) bool { return ext != ".git" && strings.HasSuffix(p, ext) })
}

// withoutCredentials removes user, password, query and fragment of a URL: each can hold a secret. A
// password with a slash in it is none to url.Parse.
func withoutCredentials(value string) string {
	u, err := url.Parse(redact.Userinfo(value))
	if err != nil || u.Host == "" {
		return value
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
