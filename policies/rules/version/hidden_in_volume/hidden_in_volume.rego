# METADATA
# title: Version hidden in a volume
# description: Finds mounts of storage from outside the manifest that a container runs code from.
package policies.rules.version.hidden_in_volume

import data.policies.lib.commands
import data.policies.lib.roots
import data.policies.lib.servers
import data.policies.lib.words

# METADATA
# title: Code runs from a volume whose content the manifest does not name
# description: >-
#   A container runs code from a volume that comes from outside the manifest, such as a claim, a host path or a network
#   share. Whoever reads the manifest sees the volume, not the version in it; and who writes to the volume changes what
#   runs without a trace. Strong evidence is a command that runs a file in the volume, or a mount path that is a known
#   folder of code; names alone, or a Pod that writes the volume itself, are weak.
# scope: document
# custom:
#   severity: critical
#   mode: deny
#   weak_mode: warn
#   message: >-
#     container "{{.Container}}" {{if .Weak}}seems to run{{else}}runs{{end}} code from volume "{{.Volume}}"{{with .Source}} ({{.}}){{end}}
#     mounted at {{.Value}}, so the manifest does not say which version runs
#   fix: >-
#     put the code into an image with a version tag: bake it into the container's image, or let an init container whose
#     image holds it copy it into an emptyDir that is mounted here instead
#   since: "0.1.0"
findings contains finding if {
	input.workload.mounts.known
	some finding in _finding
}

_finding contains {
	"container": m.container,
	"volume": m.volume,
	"field": m.field,
	"value": m.path,
	"evidence": concat("; ", texts),
} if {
	some i, texts in _proofs
	m := input.workload.mounts.known[i]
	m.role != "ephemeral"
	not _writers[m.volume]
}

_finding contains {
	"container": m.container,
	"volume": m.volume,
	"field": m.field,
	"value": m.path,
	"evidence": concat("; ", texts | {"the Pod itself writes to the volume"}),
	"weak": true,
} if {
	some i, texts in _proofs
	m := input.workload.mounts.known[i]
	m.role != "ephemeral"
	_writers[m.volume]
}

_finding contains {
	"container": m.container,
	"volume": m.volume,
	"field": m.field,
	"value": m.path,
	"evidence": concat("; ", texts),
	"weak": true,
} if {
	count(_open) > 0
	some i, texts in _hints
	m := _open[i]
	m.role in {"main", "sidecar"}
	not _writers[m.volume][m.container]
}

# Who writes to which volume: what is there may come from an image or from the manifest itself.
_writers := {volume: containers |
	some [volume, _] in _writes
	containers := {container |
		some [written, container] in _writes
		written == volume
	}
}

_writes contains [m.volume, m.container] if {
	some m in input.workload.mounts.known
	not m.readOnly
	some reference in m.references
	_puts(reference.verb, reference.position, reference.write)
}

# An init container brings what its own image holds; what fetches source code may be told a version.
_writes contains [m.volume, m.container] if {
	some m in input.workload.mounts.known
	m.role == "init"
	not m.readOnly
	not data.catalog.tools[m.image]
	count(_images[m.volume]) > 1
}

_writes contains [m.volume, m.container] if {
	some m in input.workload.mounts.known
	data.catalog.tools[m.image].fetches
	not m.readOnly
}

# The images of the containers that mount a volume.
_images := {volume: images |
	some volume in {m.volume | some m in input.workload.mounts.known}
	images := {m.image |
		some m in input.workload.mounts.known
		m.volume == volume
	}
}

_puts(_, _, true)

_puts(verb, position, _) if {
	position > 0
	data.catalog.writers[verb]
}

# The evidence by mount. The rules below go through all mounts at once: most have nothing to say about
# most mounts, and asking each rule about each mount costs more than the answers. What is told by mount
# is made by comprehensions or is a set: a rule that adds key after key to an object looks at all keys
# before each, so that thousands of mounts take seconds.
_proofs := {i: texts |
	some i in _proved
	texts := {text |
		some [mount, text] in _proof
		mount == i
	}
}

_proved := {i | some [i, _] in _proof}

_hints := {i: texts |
	some i in _hinted
	texts := {text |
		some [mount, text] in _hint
		mount == i
	}
}

_hinted := {i | some [i, _] in _hint}

# What proves that the code in use is in a mount, by the mount's index.
_proof contains [i, sprintf("%s runs %s", [reference.field, reference.path])] if {
	some i, m in input.workload.mounts.known
	some reference in m.references
	reference.kind in {"command", "hook"}
	not reference.write
	_program(reference.verb, reference.flag, reference.position, reference.path)
	not commands.on_node(m.type, m.target)
}

_proof contains [i, sprintf("%s is what containers of this image start with", [m.path])] if {
	some i, m in input.workload.mounts.known
	data.catalog.entrypoints[m.path]
}

_proof contains [i, sprintf("%s: %s runs the code of its working directory", [reference.field, _runner(reference.verb, m.image)])] if {
	some i, m in input.workload.mounts.known
	data.catalog.runtimes[m.image]
	m.role in {"main", "sidecar"}
	some reference in m.references
	_runs_here(reference.kind, reference.verb)
	not _quiet[i]
}

_proof contains [i, sprintf("%s names it as a folder of code", [reference.field])] if {
	some i, m in input.workload.mounts.known
	some reference in m.references
	reference.kind == "env"
	data.catalog.variables[reference.verb] == "strong"
}

_proof contains [i, known.text] if {
	some [i, known] in _known
	known.grade == "strong"
	input.workload.mounts.known[i].role in {"main", "sidecar"}
}

_program(_, _, 0, _)

_program(verb, flag, position, path) if commands.runs(verb, flag, position, path)

# The first argument of an image's own program: code if it looks like that.
_program("", "", 1, path) if data.catalog.code_endings[words.ending(path)]

_runs_here("workingDir", "")

_runs_here("workingDir", verb) if data.catalog.commands[verb].here

_runner("", image) := image

_runner(verb, _) := verb if verb != ""

# What the catalog knows of the mount path: of the path itself, else of the folders above and of its
# elements.
_known contains [i, known] if {
	some i, found in _at
	some known in found
}

_known contains [i, known] if {
	some i, m in input.workload.mounts.known
	not _at[i]
	some above in m.above
	data.catalog.paths[above]
	some known in roots.below(m.path, above, m.image)
}

_known contains [i, known] if {
	some i, m in input.workload.mounts.known
	not _at[i]
	some position, element in m.segments
	data.catalog.directories[element]
	some known in roots.directory(m.segments, position, m.image)
	not commands.on_node(m.type, m.target)
}

_at := {i: found |
	some i, m in input.workload.mounts.known
	found := roots.at(m.path, m.image)
	count(found) > 0
}

# The mounts of which nothing is proved.
_open := {i: m |
	some i, m in input.workload.mounts.known
	not _proved[i]
}

# What makes it likely.
_hint contains [i, known.text] if {
	some [i, known] in _known
	_open[i]
}

_hint contains [i, sprintf("%s names it as a folder of code", [reference.field])] if {
	some i, m in _open
	some reference in m.references
	reference.kind == "env"
	data.catalog.variables[reference.verb] == "weak"
}

_hint contains [i, sprintf("%s holds code by habit", [m.path])] if {
	some i, m in _open
	data.catalog.habits[m.path]
	not _silent[i]
}

_hint contains [i, sprintf("%s is the working directory", [reference.path])] if {
	some i, m in _open
	some reference in m.references
	_runs_here(reference.kind, reference.verb)
	not _silent[i]
	_loud(i, m.image)
}

# If several fetch, one of them is enough to tell.
_hint contains [i, sprintf("container %q fetches source code into it", [min(_fetchers[m.volume])])] if {
	some i, m in _open
	_interprets(m.image)
	not _silent[i]
}

_hint contains [i, sprintf("%s is a program", [m.path])] if {
	some i, m in _open
	not _quiet[i]
	data.catalog.code_endings[m.ending]
	not _silent[i]
}

_hint contains [i, sprintf("its name is %q", [name])] if {
	some i, m in _open
	not _quiet[i]
	not _silent[i]
	some name in {m.volume, m.target}
	words.names_code(name)
}

# Kompose gives such names to claims for bind mounts of a developer's folders, not to those for
# named volumes.
_hint contains [i, sprintf("claim %q stands for a developer's folder", [m.target])] if {
	some i, m in _open
	m.type == "persistentVolumeClaim"
	prefix := trim_right(m.target, "0123456789")
	prefix != m.target
	endswith(prefix, "-claim")
	not _quiet[i]
	not _silent[i]
	words.names_framework(concat("-", [m.container, m.image, prefix]))
}

_loud(_, image) if data.catalog.runtimes[image]

_loud(i, _) if not _quiet[i]

_interprets(image) if data.catalog.runtimes[image]

_interprets(image) if count(servers.of(image)) > 0

# The containers that fetch source code, by the volumes that they mount.
_fetchers := {volume: containers |
	some volume in {m.volume | some m in _mounted_by_fetchers}
	containers := {m.container |
		some m in _mounted_by_fetchers
		m.volume == volume
	}
}

_mounted_by_fetchers := [m |
	some m in input.workload.mounts.known
	m.container in _fetches
]

_fetches contains m.container if {
	some m in input.workload.mounts.known
	data.catalog.tools[m.image].fetches
}

_fetches contains m.container if {
	some m in input.workload.mounts.known
	some reference in m.references
	data.catalog.fetchers[reference.verb]
}

# Mounts around which names tell nothing: those of tools, of stores and of the node, and where the path
# says data.
_silent contains i if {
	some i, m in input.workload.mounts.known
	data.catalog.tools[m.image]
}

_silent contains i if {
	some i, m in input.workload.mounts.known
	data.catalog.stores[m.image]
}

_silent contains i if {
	some i, m in input.workload.mounts.known
	commands.on_node(m.type, m.target)
}

_silent contains i if {
	some i, m in input.workload.mounts.known
	some word in m.words
	data.catalog.data_words[word]
}

# Mounts below a folder where names and the working directory say little.
_quiet contains i if {
	some i, m in input.workload.mounts.known
	data.catalog.quiet_folders[m.path]
}

_quiet contains i if {
	some i, m in input.workload.mounts.known
	some above in m.above
	data.catalog.quiet_folders[above]
}
