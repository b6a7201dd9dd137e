package policy

import (
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
)

// mergedPackage is the package of the module that is asked. Its name is no rule's.
const mergedPackage = "plainspec"

// merge compiles the set that is asked: one set of pairs [code, finding] with the bodies of every
// rule. Asking each rule's package by itself costs ten times as much as a body whose first
// expression is undefined (docs/performance.md). The modules have been checked and compiled; what
// is merged are the compiled rules, whose references are resolved.
func merge(checked *ast.Compiler, modules map[string]*ast.Module, rules []*Rule) (*ast.Compiler, error) {
	merged := &ast.Module{Package: &ast.Package{Path: ast.MustParseRef("data." + mergedPackage)}}
	merged.SetRegoVersion(ast.RegoV1)
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
		return nil, fmt.Errorf("merge rules: %w", compiler.Errors)
	}
	return compiler, nil
}

// findingsOf is the reference of a rule's set.
func findingsOf(code string) ast.Ref { return ast.MustParseRef(rulesPackage + code + ".findings") }
