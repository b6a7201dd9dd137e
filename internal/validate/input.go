package validate

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/workload"
)

// Input is what policies see: the published schema of `input` is made from this type
// (policies/schema/input.json), and encode writes it as Rego values.
type Input struct {
	// Request is the request under review.
	Request InputRequest `json:"request" jsonschema:"the request under review"`
	// Workload is what the manifest says.
	Workload workload.Workload `json:"workload" jsonschema:"what the manifest says about what it runs"`
	// Object is the manifest itself; it is converted only if a policy refers to it, at a cost.
	Object any `json:"object,omitempty" jsonschema:"the whole object as applied; referring to it makes every review several times dearer"`
}

// InputRequest is the value of input.request.
type InputRequest struct {
	Operation string `json:"operation" jsonschema:"CREATE or UPDATE"`
	Kind      string `json:"kind" jsonschema:"the object's kind"`
	Group     string `json:"group" jsonschema:"the object's API group, empty for the core group"`
	Namespace string `json:"namespace" jsonschema:"the object's namespace"`
	User      string `json:"user" jsonschema:"the user who makes the request"`
	DryRun    bool   `json:"dryRun" jsonschema:"whether nothing will be stored"`
}

// wanted are the facts that a set's policies read.
func wanted(set *policy.Set) workload.Groups {
	image := func(group string) bool { return set.Reads("workload", "images", group) }
	mount := func(group string) bool { return set.Reads("workload", "mounts", group) }
	return workload.Groups{
		Untagged: image("untagged"), Tagged: image("tagged"), Exact: image("exact"), Pinned: image("pinned"), Invalid: image("invalid"), All: image("all"),
		Image: mount("image"), Declared: mount("declared"), Filled: mount("filled"), Opaque: mount("opaque"), Config: mount("config"),
		Platform: mount("platform"), Scratch: mount("scratch"),
		Known: mount("known"), Index: workload.Index{Mounts: set.Flags("policies", "index", "mounts"), Names: set.Flags("policies", "index", "names")},
		Labels: set.Reads("workload", "labels") || set.Reads("workload", "applications"), Artifacts: set.Reads("workload", "artifacts"),
	}
}

// encode writes an input as Rego values directly: going through JSON or maps costs several times
// as much (docs/performance.md). Members that are empty are left out where the JSON form of the
// type leaves them out; a test holds both forms equal.
func encode(in *Input) (ast.Value, error) {
	members := []member{
		{keys.request, encodeRequest(&in.Request)},
		{keys.workload, encodeWorkload(&in.Workload)},
	}
	if in.Object != nil {
		value, err := ast.InterfaceToValue(in.Object)
		if err != nil {
			return nil, err
		}
		members = append(members, member{keys.object, ast.NewTerm(value)})
	}
	return ast.NewObject(members...), nil
}

type member = [2]*ast.Term

func encodeRequest(r *InputRequest) *ast.Term {
	return ast.ObjectTerm(
		member{keys.operation, text(r.Operation)},
		member{keys.kind, text(r.Kind)},
		member{keys.group, text(r.Group)},
		member{keys.namespace, text(r.Namespace)},
		member{keys.user, text(r.User)},
		member{keys.dryRun, ast.InternedTerm(r.DryRun)},
	)
}

func encodeWorkload(w *workload.Workload) *ast.Term {
	members := make([]member, 0, 7)
	members = append(members,
		member{keys.kind, text(w.Kind)},
		member{keys.group, text(w.Group)},
		member{keys.images, encodeImages(&w.Images)},
		member{keys.mounts, encodeMounts(&w.Mounts)},
	)
	members = list(members, keys.labels, w.Labels, encodeLabel)
	members = list(members, keys.applications, w.Applications, encodeComponent)
	members = list(members, keys.artifacts, w.Artifacts, encodeArtifact)
	return ast.ObjectTerm(members...)
}

func encodeImages(i *workload.Images) *ast.Term {
	var members []member
	members = list(members, keys.untagged, i.Untagged, encodeImage)
	members = list(members, keys.tagged, i.Tagged, encodeImage)
	members = list(members, keys.exact, i.Exact, encodeImage)
	members = list(members, keys.pinned, i.Pinned, encodeImage)
	members = list(members, keys.invalid, i.Invalid, encodeImage)
	members = list(members, keys.all, i.All, encodeImage)
	return ast.ObjectTerm(members...)
}

func encodeImage(i *workload.Image) *ast.Term {
	return encodeNamed(&i.ImageName,
		member{keys.container, text(i.Container)},
		member{keys.volume, text(i.Volume)},
		member{keys.role, text(i.Role)},
		member{keys.field, text(i.Field)},
		member{keys.value, text(i.Value)},
	)
}

func encodeArtifact(a *workload.Artifact) *ast.Term {
	return encodeNamed(&a.ImageName,
		member{keys.field, text(a.Field)},
		member{keys.value, text(a.Value)},
		member{keys.container, text(a.Container)},
		member{keys.target, text(a.Target)},
		member{keys.problem, text(a.Problem)},
		member{keys.carriers, array(a.Carriers, encodeCarrier)},
	)
}

func encodeCarrier(c *workload.Carrier) *ast.Term {
	return encodeNamed(&c.ImageName,
		member{keys.container, text(c.Container)},
		member{keys.role, text(c.Role)},
		member{keys.field, text(c.Field)},
		member{keys.value, text(c.Value)},
		member{keys.consumer, text(c.Consumer)},
		member{keys.path, text(c.Path)},
		member{keys.before, ast.InternedTerm(c.Before)},
	)
}

// encodeNamed encodes what has a parsed image reference, and more members.
func encodeNamed(n *workload.ImageName, more ...member) *ast.Term {
	return ast.ObjectTerm(append(append(make([]member, 0, 16), more...),
		member{keys.registry, text(n.Registry)},
		member{keys.repository, text(n.Repository)},
		member{keys.name, text(n.Name)},
		member{keys.tag, text(n.Tag)},
		member{keys.digest, text(n.Digest)},
		member{keys.precision, text(n.Precision)},
		member{keys.words, array(n.Words, encodeString)},
		member{keys.err, text(n.Error)},
	)...)
}

func encodeMounts(m *workload.Mounts) *ast.Term {
	var members []member
	members = list(members, keys.image, m.Image, encodeMount)
	members = list(members, keys.declared, m.Declared, encodeMount)
	members = list(members, keys.filled, m.Filled, encodeMount)
	members = list(members, keys.opaque, m.Opaque, encodeMount)
	members = list(members, keys.known, m.Known, encodeMount)
	members = list(members, keys.config, m.Config, encodeMount)
	members = list(members, keys.platform, m.Platform, encodeMount)
	members = list(members, keys.scratch, m.Scratch, encodeMount)
	return ast.ObjectTerm(members...)
}

func encodeMount(m *workload.Mount) *ast.Term {
	return ast.ObjectTerm(
		member{keys.container, text(m.Container)},
		member{keys.role, text(m.Role)},
		member{keys.path, text(m.Path)},
		member{keys.field, text(m.Field)},
		member{keys.volume, text(m.Volume)},
		member{keys.typ, text(m.Type)},
		member{keys.source, text(m.Source)},
		member{keys.image, text(m.Image)},
		member{keys.repository, text(m.Repository)},
		member{keys.above, array(m.Above, encodeString)},
		member{keys.segments, array(m.Segments, encodeString)},
		member{keys.words, array(m.Words, encodeString)},
		member{keys.ending, text(m.Ending)},
		member{keys.target, text(m.Target)},
		member{keys.subPath, text(m.SubPath)},
		member{keys.readOnly, ast.InternedTerm(m.ReadOnly)},
		member{keys.references, array(m.References, encodeReference)},
		member{keys.declarations, array(m.Declarations, encodeDeclaration)},
	)
}

func encodeReference(r *workload.Reference) *ast.Term {
	return ast.ObjectTerm(
		member{keys.kind, text(r.Kind)},
		member{keys.field, text(r.Field)},
		member{keys.path, text(r.Path)},
		member{keys.position, ast.InternedTerm(r.Position)},
		member{keys.verb, text(r.Verb)},
		member{keys.flag, text(r.Flag)},
		member{keys.write, ast.InternedTerm(r.Write)},
	)
}

func encodeDeclaration(d *workload.Declaration) *ast.Term {
	return ast.ObjectTerm(
		member{keys.kind, text(d.Kind)},
		member{keys.field, text(d.Field)},
		member{keys.value, text(d.Value)},
		member{keys.version, text(d.Version)},
		member{keys.precision, text(d.Precision)},
		member{keys.segments, array(d.Segments, encodeString)},
	)
}

func encodeLabel(l *workload.VersionLabel) *ast.Term {
	return ast.ObjectTerm(member{keys.field, text(l.Field)}, member{keys.value, text(l.Value)})
}

func encodeComponent(c *workload.Component) *ast.Term {
	return ast.ObjectTerm(
		member{keys.name, text(c.Name)},
		member{keys.role, text(c.Role)},
		member{keys.field, text(c.Field)},
		member{keys.precision, text(c.Precision)},
		member{keys.container, text(c.Container)},
		member{keys.version, text(c.Version)},
		member{keys.refined, text(c.Refined)},
		member{keys.refinedBy, text(c.RefinedBy)},
	)
}

func encodeString(s *string) *ast.Term { return text(*s) }

// list adds an array, unless it is empty.
func list[T any](members []member, key *ast.Term, values []T, encode func(*T) *ast.Term) []member {
	if len(values) == 0 {
		return members
	}
	return append(members, member{key, array(values, encode)})
}

func array[T any](values []T, encode func(*T) *ast.Term) *ast.Term {
	terms := make([]*ast.Term, len(values))
	for i := range values {
		terms[i] = encode(&values[i])
	}
	return ast.ArrayTerm(terms...)
}

// text is a string term; common ones are shared.
func text(value string) *ast.Term {
	if term, ok := common[value]; ok {
		return term
	}
	return ast.StringTerm(value)
}

// common are the terms of values that most workloads have.
var common = func() map[string]*ast.Term {
	terms := make(map[string]*ast.Term)
	for _, value := range []string{
		"", Create, Update, "Pod", "Deployment", "apps", workload.RoleMain, workload.RoleInit, workload.RoleSidecar, workload.PrecisionExact,
		workload.PrecisionFloating, workload.PrecisionMoving, workload.ReferenceCommand, workload.ReferenceWorkingDir, workload.ReferenceEnv,
		"docker.io", "persistentVolumeClaim", "hostPath", "emptyDir", "default", "data",
	} {
		terms[value] = ast.StringTerm(value)
	}
	return terms
}()

// keys are the terms of all keys, made once and shared by every review.
var keys = struct {
	request, workload, object, operation, kind, group, namespace, user, dryRun, images, mounts, labels, applications, untagged, tagged,
	pinned, invalid, container, volume, role, field, value, registry, repository, name, tag, digest, precision, err, image, declared, filled,
	opaque, config, platform, scratch, path, above, segments, typ, source, target, subPath, readOnly, references, declarations, verb, flag,
	position, write, version, refined, refinedBy, words, ending, exact, all, known, artifacts,
	problem, carriers, consumer, before *ast.Term
}{
	request: ast.StringTerm("request"), workload: ast.StringTerm("workload"), object: ast.StringTerm("object"),
	operation: ast.StringTerm("operation"), kind: ast.StringTerm("kind"), group: ast.StringTerm("group"),
	namespace: ast.StringTerm("namespace"), user: ast.StringTerm("user"), dryRun: ast.StringTerm("dryRun"),
	images: ast.StringTerm("images"), mounts: ast.StringTerm("mounts"), labels: ast.StringTerm("labels"),
	applications: ast.StringTerm("applications"), untagged: ast.StringTerm("untagged"), tagged: ast.StringTerm("tagged"),
	pinned: ast.StringTerm("pinned"), invalid: ast.StringTerm("invalid"), container: ast.StringTerm("container"),
	volume: ast.StringTerm("volume"), role: ast.StringTerm("role"), field: ast.StringTerm("field"), value: ast.StringTerm("value"),
	registry: ast.StringTerm("registry"), repository: ast.StringTerm("repository"), name: ast.StringTerm("name"),
	tag: ast.StringTerm("tag"), digest: ast.StringTerm("digest"), precision: ast.StringTerm("precision"), err: ast.StringTerm("error"),
	image: ast.StringTerm("image"), declared: ast.StringTerm("declared"), filled: ast.StringTerm("filled"),
	opaque: ast.StringTerm("opaque"), config: ast.StringTerm("config"), platform: ast.StringTerm("platform"),
	scratch: ast.StringTerm("scratch"), path: ast.StringTerm("path"), above: ast.StringTerm("above"),
	segments: ast.StringTerm("segments"), typ: ast.StringTerm("type"), source: ast.StringTerm("source"),
	target: ast.StringTerm("target"), subPath: ast.StringTerm("subPath"), readOnly: ast.StringTerm("readOnly"),
	references: ast.StringTerm("references"), declarations: ast.StringTerm("declarations"), verb: ast.StringTerm("verb"),
	flag: ast.StringTerm("flag"), position: ast.StringTerm("position"), write: ast.StringTerm("write"),
	version: ast.StringTerm("version"), refined: ast.StringTerm("refined"), refinedBy: ast.StringTerm("refinedBy"),
	words: ast.StringTerm("words"), exact: ast.StringTerm("exact"), all: ast.StringTerm("all"), known: ast.StringTerm("known"),
	ending: ast.StringTerm("ending"), artifacts: ast.StringTerm("artifacts"), problem: ast.StringTerm("problem"),
	carriers: ast.StringTerm("carriers"), consumer: ast.StringTerm("consumer"), before: ast.StringTerm("before"),
}
