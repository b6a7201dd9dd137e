package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/types"
)

const (
	// schemaFile is the input's JSON schema, against which every policy is type-checked.
	schemaFile = "schema/input.json"
	// rulesPackage is the package below which every package is a rule.
	rulesPackage = "data.policies.rules."
	// rememberedPatterns bounds the cache of compiled regular expressions and globs: patterns
	// can come from input, and OPA's own cache is unlimited.
	rememberedPatterns = 1000
)

// Options say what a policy set is made of.
type Options struct {
	// Library is the built-in library (policies.FS).
	Library fs.FS
	// Overlay, if not nil, adds files to the library; a file of the same path replaces the library's.
	Overlay fs.FS
	// Parameters replace members of data.params by name.
	Parameters map[string]any
}

// Load reads, type-checks and prepares a policy set. Its error lists every problem found, each
// with file, line and column where there is one.
func Load(ctx context.Context, o Options) (*Set, error) {
	if o.Library == nil {
		return nil, errors.New("load policies: no library given")
	}
	files := overlayFS{upper: o.Overlay, lower: o.Library}
	sources, err := files.sources()
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	data, modules, err := parse(files, sources)
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	if err := override(data, o.Parameters); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	compiler, err := compile(files, modules)
	if err != nil {
		return nil, fmt.Errorf("compile policies: %w", err)
	}
	rules, err := discover(compiler)
	if err != nil {
		return nil, fmt.Errorf("check policies: %w", err)
	}
	set := &Set{rules: rules, data: data}
	if set.revision, err = revision(files, sources, o.Parameters); err != nil {
		return nil, fmt.Errorf("hash policies: %w", err)
	}
	if err := index(ctx, compiler, modules, data); err != nil {
		return nil, fmt.Errorf("index policies: %w", err)
	}
	if compiler, err = merge(compiler, modules, rules); err != nil {
		return nil, fmt.Errorf("compile policies: %w", err)
	}
	if err := set.prepare(ctx, compiler); err != nil {
		return nil, fmt.Errorf("prepare policies: %w", err)
	}
	return set, nil
}

// capabilities are what policies may use: no network, no clock, no randomness, nothing that
// tells about the machine. A decision depends on the request and on the set alone.
func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	all.AllowNet = []string{}
	all.Builtins = slices.DeleteFunc(all.Builtins, func(b *ast.Builtin) bool {
		return b.IsNondeterministic() || b.Name == "trace"
	})
	return all
}

func parse(files overlayFS, sources []string) (map[string]any, map[string]*ast.Module, error) {
	result, err := loader.NewFileLoader().WithFS(files).WithProcessAnnotation(true).WithCapabilities(capabilities()).All(sources)
	if problems, ok := errors.AsType[loader.Errors](err); ok {
		return nil, nil, located(problems)
	}
	if err != nil {
		return nil, nil, err
	}
	return result.Documents, result.ParsedModules(), nil
}

// override replaces members of data.params.
func override(data map[string]any, parameters map[string]any) error {
	if len(parameters) == 0 {
		return nil
	}
	known, ok := data["params"].(map[string]any)
	if !ok {
		return errors.New("data.params is missing or no object: params.yaml must define it")
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("parameter %q is unknown: known are %q", name, slices.Sorted(maps.Keys(known)))
		}
		known[name] = parameters[name]
	}
	return nil
}

func compile(files overlayFS, modules map[string]*ast.Module) (*ast.Compiler, error) {
	raw, err := fs.ReadFile(files, schemaFile)
	if err != nil {
		return nil, err
	}
	var schema any
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("%s: %w", schemaFile, err)
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, schema)
	compiler := ast.NewCompiler().
		WithCapabilities(capabilities()).
		WithStrict(true).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true)
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, located(compiler.Errors)
	}
	return compiler, nil
}

// located is a list of problems, one below the other, each with file, line and column; OPA's own lists begin with their
// number, and its problems leave the column out.
func located[E error](problems []E) error {
	all := make([]error, 0, len(problems))
	for _, problem := range problems {
		err := error(problem)
		if several, ok := err.(ast.Errors); ok { //nolint:errorlint // a wrapped list has a text of its own
			all = append(all, located(several))
			continue
		}
		if one, ok := errors.AsType[*ast.Error](err); ok && one.Location != nil && one.Location.File != "" {
			row := fmt.Sprintf("%s:%d:", one.Location.File, one.Location.Row)
			err = errors.New(strings.Replace(err.Error(), row, place(one.Location)+":", 1))
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// place is where something is written: file:line:column.
func place(l *ast.Location) string { return fmt.Sprintf("%s:%d:%d", l.File, l.Row, l.Col) }

// discover finds the rules of a compiled set and checks what each promises.
func discover(compiler *ast.Compiler) ([]*Rule, error) {
	metadata := make(map[string]*ast.AnnotationsRef)
	for _, ref := range compiler.GetAnnotationSet().Flatten() {
		if ref.Annotations != nil && (ref.Annotations.Scope == "document" || ref.Annotations.Scope == "rule") {
			metadata[ref.Path.String()] = ref
		}
	}
	var rules []*Rule
	var problems []error
	seen := make(map[string]bool)
	for _, file := range slices.Sorted(maps.Keys(compiler.Modules)) {
		module := compiler.Modules[file]
		name, ok := strings.CutPrefix(module.Package.Path.String(), rulesPackage)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		rule, err := newRuleOf(compiler, module, name, metadata)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		rules = append(rules, rule)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, errors.New("no rule found below " + rulesPackage + "*: a set without rules would admit everything")
	}
	slices.SortFunc(rules, func(a, b *Rule) int { return strings.Compare(a.Code, b.Code) })
	return rules, nil
}

func newRuleOf(compiler *ast.Compiler, module *ast.Module, name string, metadata map[string]*ast.AnnotationsRef) (*Rule, error) {
	where := module.Package.Location
	if strings.Count(name, ".") != 1 || strings.Contains(name, "[") {
		return nil, fmt.Errorf("%s: package policies.rules.%s: a rule's package is policies.rules.<category>.<rule>, in snake_case", place(where), name)
	}
	ref := module.Package.Path.Append(ast.StringTerm("findings"))
	defined := compiler.GetRulesExact(ref)
	if len(defined) == 0 {
		return nil, fmt.Errorf("%s: package policies.rules.%s does not define findings", place(where), name)
	}
	for _, rule := range defined {
		if rule.Head.RuleKind() != ast.MultiValue {
			return nil, fmt.Errorf("%s: findings of rule %s must be a set: write findings contains {…} if …", place(rule.Location), name)
		}
	}
	if err := checkShape(compiler.TypeEnv.GetByRef(ref), defined[0].Location, name); err != nil {
		return nil, err
	}
	meta := metadata[ref.String()]
	if meta == nil {
		meta = &ast.AnnotationsRef{}
	}
	return newRule(name, meta)
}

// checkShape refuses a rule whose findings have keys that nobody reads, or lack a field: the
// compiler knows their type.
func checkShape(t types.Type, where *ast.Location, code string) error {
	set, ok := t.(*types.Set)
	if !ok {
		return nil // its members' type is not known
	}
	for _, object := range alternatives(set.Of()) {
		shape, ok := object.(*types.Object)
		if !ok {
			continue
		}
		var keys []string
		for _, property := range shape.StaticProperties() {
			key := fmt.Sprint(property.Key)
			if !slices.Contains(findingKeys, key) {
				return fmt.Errorf("%s: a finding of rule %s has the key %q: allowed are %q", place(where), code, key, findingKeys)
			}
			keys = append(keys, key)
		}
		if shape.DynamicValue() == nil && !slices.Contains(keys, "field") {
			return fmt.Errorf("%s: a finding of rule %s has no key \"field\"", place(where), code)
		}
	}
	return nil
}

func alternatives(t types.Type) []types.Type {
	if several, ok := t.(types.Any); ok {
		return several
	}
	return []types.Type{t}
}

// prepare compiles the one query that asks every rule.
func (s *Set) prepare(ctx context.Context, compiler *ast.Compiler) error {
	const text = "answer = data." + mergedPackage + ".findings"
	query, err := rego.New(
		rego.Query(text),
		rego.Compiler(compiler),
		rego.Store(inmem.NewFromObjectWithOpts(s.data, inmem.OptReturnASTValuesOnRead(true))),
		rego.Capabilities(capabilities()),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	s.query = query
	limit := rememberedPatterns
	s.patterns = cache.NewInterQueryValueCache(ctx, &cache.Config{
		InterQueryBuiltinValueCache: cache.InterQueryBuiltinValueCacheConfig{MaxNumEntries: &limit},
	})
	refs, err := dependencies.Base(compiler, ast.MustParseBody(text))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if ref.HasPrefix(ast.InputRootRef) {
			s.reads = append(s.reads, ref)
		}
	}
	return nil
}

// revision is the content hash of a set: its files and its parameters.
func revision(files overlayFS, sources []string, parameters map[string]any) (string, error) {
	hash := sha256.New()
	for _, name := range sources {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(hash, "%s %x\n", name, sum)
	}
	text, err := json.Marshal(parameters)
	if err != nil {
		return "", err
	}
	hash.Write(text)
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// overlayFS reads a file from upper and, where that has none, from lower.
type overlayFS struct{ upper, lower fs.FS }

// Open implements fs.FS.
func (o overlayFS) Open(name string) (fs.File, error) {
	if o.upper != nil {
		file, err := o.upper.Open(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return o.lower.Open(name)
}

// IsSource reports whether a file of this name is policies or data: not a test, and no other kind of file.
func IsSource(name string) bool {
	return slices.Contains([]string{".rego", ".yaml", ".yml", ".json"}, path.Ext(name)) && !strings.HasSuffix(name, "_test.rego")
}

// sources lists the policies and data of both layers: no tests, no checks, no schema.
func (o overlayFS) sources() ([]string, error) {
	found := make(map[string]bool)
	for _, layer := range []fs.FS{o.lower, o.upper} {
		if layer == nil {
			continue
		}
		err := fs.WalkDir(layer, ".", func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (name == "checks" || name == "schema" || strings.HasPrefix(path.Base(name), ".") && name != "."):
				return fs.SkipDir
			case !entry.IsDir() && IsSource(name):
				found[name] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}
