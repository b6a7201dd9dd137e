# METADATA
# title: Code expected in an empty volume
# description: Finds emptyDirs that nobody fills where a container's code should be.
package policies.rules.version.unfilled_volume

import data.policies.lib.commands
import data.policies.lib.roots
import data.policies.lib.words

# METADATA
# title: Code is expected in a volume that nobody fills
# description: >-
#   A container runs code from an emptyDir that no container of the Pod writes. An emptyDir is empty at start, and hides
#   what the image has at its place: either the container cannot work, or its code comes from somewhere that the manifest
#   does not name. Strong evidence is a command that is a file in the volume, or the exact folder of a stock server.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   weak_mode: warn
#   message: >-
#     container "{{.Container}}" {{if .Weak}}seems to run{{else}}runs{{end}} code from volume "{{.Volume}}" (emptyDir) mounted at
#     {{.Value}}, which no container of the Pod fills
#   fix: >-
#     add an init container whose image holds the code, with a version tag, and let it copy the code into this volume; or
#     remove the mount, if the code is in the container's own image
#   since: "0.1.0"
findings contains finding if {
	input.workload.mounts.scratch
	some finding in _finding
}

_finding contains {
	"container": m.container,
	"volume": m.volume,
	"field": m.field,
	"value": m.path,
	"evidence": concat("; ", _proof[i]),
} if {
	some i, m in input.workload.mounts.scratch
	m.role != "ephemeral"
}

_finding contains {
	"container": m.container,
	"volume": m.volume,
	"field": m.field,
	"value": m.path,
	"evidence": concat("; ", _hints[i]),
	"weak": true,
} if {
	some i, m in input.workload.mounts.scratch
	m.role == "main"
	not _proof[i]
}

# Only the words of a command that starts nothing else first: a script may write the file before.
_proof[i] contains sprintf("%s runs %s", [reference.field, reference.path]) if {
	some i, m in input.workload.mounts.scratch
	some reference in m.references
	reference.kind == "command"
	not reference.write
	_first(reference.verb, reference.flag, reference.position, reference.path, reference.field)
}

# An image that somebody made from a server may fill the folder when it starts; the stock image
# does not.
_proof[i] contains known.text if {
	some i, m in input.workload.mounts.scratch
	m.role == "main"
	some known in roots.at(m.path, m.image)
	known.grade == "strong"
	_stock(m.repository, m.image)
}

_first(_, _, 0, _, field) if endswith(field, ".command[0]")

_first(verb, flag, 1, path, field) if {
	endswith(field, ".command[1]")
	commands.runs(verb, flag, 1, path)
}

# A stock server of Docker's official images, or of a mirror of them.
_stock(repository, image) if {
	data.catalog.images[image]
	endswith(repository, concat("", ["library/", image]))
}

_hints[i] contains known.text if {
	some i, m in input.workload.mounts.scratch
	some known in roots.at(m.path, m.image)
	known.grade == "strong"
}

_hints[i] contains sprintf("%s holds code by habit, and its name is %q", [m.path, m.volume]) if {
	some i, m in input.workload.mounts.scratch
	data.catalog.habits[m.path]
	words.names_code(m.volume)
}
