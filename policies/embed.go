// Package policies holds the built-in policy library: the rules in Rego, the functions they
// share, the catalog of servers and code paths, and the schema of their input.
package policies

import "embed"

// FS is the library as files. Tests and checks are part of it; internal/policy leaves them out.
//
//go:embed rules lib index catalog schema params.yaml
var FS embed.FS
