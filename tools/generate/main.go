// Command generate writes the files that are made from code and metadata: the schema of the
// policies' input, the reference of the rules, and parts of the chart. It is run from the repository's root by
// `make generate`.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	schema, err := validate.Schema()
	if err != nil {
		return err
	}
	if err := os.WriteFile("policies/schema/input.json", schema, 0o644); err != nil {
		return err
	}
	// The library is read from disk, not from the binary: it must see the schema just written.
	set, err := policy.Load(ctx, policy.Options{Library: os.DirFS("policies")})
	if err != nil {
		return err
	}
	if err := os.WriteFile("docs/policies.md", []byte(reference(set.Rules())), 0o644); err != nil {
		return err
	}
	return chart()
}

// reference is docs/policies.md.
func reference(rules []*policy.Rule) string {
	var b strings.Builder
	b.WriteString("# The built-in rules\n\nGenerated from the METADATA of `policies/rules` by `make generate`; do not edit.\n\n")
	b.WriteString("| code | judges | severity | mode under `enforce` |\n| --- | --- | --- | --- |\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", r.Code, anchor(r.Code), r.Title, r.Severity, mode(r))
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n- Severity: %s\n- Mode under `enforce`: %s\n- Since: %s\n- Fix: %s\n", r.Code, r.Description, r.Severity, mode(r), r.Since, r.Fix)
	}
	return b.String()
}

func mode(r *policy.Rule) string {
	if r.WeakMode != r.Mode {
		return fmt.Sprintf("%s; %s on weak evidence", r.Mode, r.WeakMode)
	}
	return string(r.Mode)
}

// anchor is the fragment that Markdown renderers give a heading.
func anchor(code string) string { return strings.ReplaceAll(code, ".", "") }
