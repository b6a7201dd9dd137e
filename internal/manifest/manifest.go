// Package manifest reads Kubernetes manifests from files, folders and standard input, and knows
// in which line each field is written.
package manifest

import (
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// largestSource is the longest file that is read, in bytes: five times what the API server
	// takes for one object (3 MiB), and room for thousands of ordinary ones.
	largestSource = 16 << 20
	// mostObjects is how many objects one source may hold: lists of aliases of lists would
	// otherwise grow without end from a few lines.
	mostObjects = 10_000
)

// Stdin is the path that stands for standard input; StdinSource is what its documents call it.
const (
	Stdin       = "-"
	StdinSource = "stdin"
)

// Options say what to read.
type Options struct {
	// Paths are files, folders (their *.yaml, *.yml and *.json) or Stdin.
	Paths []string
	// Recursive also reads the folders below folders.
	Recursive bool
	// Stdin is read where a path is Stdin.
	Stdin io.Reader
}

// Batch is what was read. Documents that can be read are there, whatever is wrong beside them.
type Batch struct {
	// Documents are the objects in the order of the paths; lists are split into their items.
	Documents []Document
	// Problems are what could not be read, or what a reader should know.
	Problems []Problem
}

// Document is one object of a source.
type Document struct {
	// Source is the file's path as given or found, or StdinSource.
	Source string
	// Index counts the objects of a source, from 0.
	Index int
	// Line is the line where the object starts, from 1.
	Line int
	// APIVersion and Kind are never empty; Namespace and Name may be.
	APIVersion, Kind, Namespace string
	// Name is metadata.name, or metadata.generateName followed by "*".
	Name string
	// Object is the object as JSON.
	Object []byte

	node *yaml.Node
}

// Group is the object's API group, empty for the core group.
func (d *Document) Group() string {
	group, _, found := strings.Cut(d.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// Problem is something about a source.
type Problem struct {
	// Source is as in Document.
	Source string `json:"source"`
	// Line is the line, 0 if the problem has none.
	Line int `json:"line,omitempty"`
	// Text says what is wrong, in one line.
	Text string `json:"text"`
	// Warning says that the objects could be read nevertheless.
	Warning bool `json:"warning,omitempty"`
}

// Read reads all paths. What cannot be read is a Problem, and the rest is read nevertheless.
func Read(o Options) Batch {
	var batch Batch
	for _, path := range o.Paths {
		before := len(batch.Documents) + len(batch.Problems)
		name := path
		if path == Stdin {
			name = StdinSource
			batch.read(name, o.Stdin)
		} else {
			batch.path(path, o.Recursive)
		}
		if len(batch.Documents)+len(batch.Problems) == before {
			batch.problem(name, 0, "holds no object")
		}
	}
	return batch
}

func (b *Batch) problem(source string, line int, text string) {
	b.Problems = append(b.Problems, Problem{Source: source, Line: line, Text: strings.Join(strings.Fields(text), " ")})
}
