# METADATA
# title: Roots of code
# description: What the catalog says that a mount path holds.
package policies.lib.roots

import data.policies.lib.servers
import data.policies.lib.words

# METADATA
# description: >-
#   What a path holds for a container whose image has a name: a set of {"grade": strong or weak, "text": why}. An image that
#   is no server of the path's counts less, a tool not at all.
at(path, image) := _at(path, entries, image) if entries := data.catalog.paths[path]

else := _at(path, entries, image) if entries := data.catalog.parents[path]

_at(path, entries, image) := found if {
	found := {_evidence(path, server, entry, entry.grade) |
		some server in servers.of(image)
		entry := entries[server]
	}
	count(found) > 0
}

else := {_evidence(path, server, entry, entry.others) |
	not data.catalog.tools[image]
	some server, entry in entries
}

# METADATA
# description: What a path holds because it is below another, whose content the catalog knows; of the form of at.
below(path, above, image) := found if {
	found := {_evidence(above, server, entry, grade) |
		some server in servers.of(image)
		entry := data.catalog.paths[above][server]
		grade := _grade_below(path, above, entry.grade)
	}
	count(found) > 0
}

else := {_evidence(above, server, entry, grade) |
	not data.catalog.tools[image]
	some server, entry in data.catalog.paths[above]
	entry.others
	grade := _grade_below(path, above, "weak")
}

_evidence(path, server, entry, grade) := {
	"grade": grade,
	"text": sprintf("%s holds the %s of %s", [path, entry.holds, data.catalog.servers[server].title]),
}

# Undefined where a word of data follows.
_grade_below(path, above, grade) := lowered if {
	elements := split(trim_prefix(path, concat("", [above, "/"])), "/")
	every element in elements {
		not words.is_data(element)
	}
	lowered := _lowered(elements, grade)
}

_lowered(elements, grade) := grade if {
	every element in elements {
		not words.is_doubtful(element)
	}
}

else := "weak"

# METADATA
# description: >-
#   What an element of a mount path says whoever runs there; of the form of at. Elements before it that are data make it
#   weak, elements of data after it nothing.
directory(elements, position, image) := {{"grade": grade, "text": sprintf("a folder called %s holds %s", [elements[position], entry.holds])} |
	not data.catalog.tools[image]
	entry := data.catalog.directories[elements[position]]
	grade := _directory_grade(elements, position, entry)
}

_directory_grade(elements, position, entry) := entry.last if {
	position == count(elements) - 1
	every element in array.slice(elements, 0, position) {
		not words.is_data(element)
	}
}

else := "weak" if position == count(elements) - 1

else := entry.inside if {
	every element in array.slice(elements, position + 1, count(elements)) {
		not words.is_data(element)
	}
}
