package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// mergedPackage is the package of the module that is asked. Its name is no rule's.
const mergedPackage = "plainspec"

// merge compiles the set that is asked: one set of pairs [code, finding] with the bodies of every
// rule. Asking each rule's package by itself costs ten times as much as a body whose first
// expression is undefined (docs/performance.md). The modules have been checked and compiled; what
// is merged are the compiled rules, whose references are resolved.
func merge(checked *ast.Compiler, modules map[string]*ast.Module, rules []*Rule) (*ast.Compiler, error) {
	merged := &ast.Module{Package: &ast.Package{Path: ast.MustParseRef("data." + mergedPackage)}}
	for _, rule := range rules {
		for _, body := range checked.GetRulesExact(findingsOf(rule.Code)) {
			pair := ast.ArrayTerm(ast.StringTerm(rule.Code), body.Head.Key.Copy())
			merged.Rules = append(merged.Rules, &ast.Rule{
				Head:     &ast.Head{Name: "findings", Reference: ast.Ref{ast.VarTerm("findings")}, Key: pair, Location: body.Location},
				Body:     body.Body.Copy(),
				Location: body.Location,
				Module:   merged,
			})
		}
	}
	all := maps.Clone(modules)
	all[mergedPackage] = merged
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	if compiler.Compile(all); compiler.Failed() {
		return nil, fmt.Errorf("merge rules: %w", located(compiler.Errors))
	}
	return compiler, nil
}

// indexPackage is the package of rules that depend on data alone.
const indexPackage = "data.policies.index"

// index answers the rules of the index's package, puts the answers where the rules were, and drops
// the rules: what does not depend on the input is computed once, not on each review.
func index(ctx context.Context, compiler *ast.Compiler, modules map[string]*ast.Module, data map[string]any) error {
	if len(compiler.GetRules(ast.MustParseRef(indexPackage))) == 0 {
		return nil
	}
	body := ast.MustParseBody("answer = " + indexPackage)
	refs, err := dependencies.Base(compiler, body)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(refs, func(ref ast.Ref) bool { return ref.HasPrefix(ast.InputRootRef) }) {
		return errors.New("package policies.index refers to input: it is computed when the policies load")
	}
	results, err := rego.New(rego.ParsedQuery(body), rego.Compiler(compiler), rego.Store(inmem.NewFromObject(data)), rego.StrictBuiltinErrors(true)).Eval(ctx)
	if err != nil {
		return err
	}
	if len(results) != 1 {
		return fmt.Errorf("package policies.index: %w", ErrUndefined)
	}
	maps.DeleteFunc(modules, func(_ string, m *ast.Module) bool { return m.Package.Path.String() == indexPackage })
	data["policies"] = map[string]any{"index": results[0].Bindings["answer"]}
	return nil
}

// findingsOf is the reference of a rule's set.
func findingsOf(code string) ast.Ref { return ast.MustParseRef(rulesPackage + code + ".findings") }
