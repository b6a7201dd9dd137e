# METADATA
# title: Index
# description: >-
#   The keys by which the catalog knows volumes. It depends on data alone, so that it is computed once, when the policies
#   load. Go makes the group input.workload.mounts.known of the opaque mounts whose volume has one of the keys: most
#   volumes have none, and cost nothing.
package policies.index

# METADATA
# description: >-
#   Keys are told apart by their form: a mount path or a folder above it ("/var/www"), an element of it ("www/"), its ending
#   (".war"), the last word of its source's name if a number follows ("-claim" of "web-claim0"), the image of a container that
#   mounts it ("image:git"), and kind and verb of a reference to it, 0 for a program by its path ("command:python",
#   "command:0").
mounts[key] := true if some key, _ in data.catalog.paths

mounts[key] := true if some key, _ in data.catalog.parents

mounts[key] := true if {
	some element, _ in data.catalog.directories
	key := concat("", [element, "/"])
}

mounts[key] := true if some key, _ in data.catalog.habits

mounts[key] := true if some key, _ in data.catalog.entrypoints

mounts[key] := true if {
	some ending, _ in data.catalog.code_endings
	key := concat("", [".", ending])
}

# Kompose's names for a developer's folders end with it.
mounts["-claim"] := true

mounts[key] := true if {
	some image, tool in data.catalog.tools
	tool.fetches
	key := concat("", ["image:", image])
}

mounts[key] := true if {
	some catalog in [data.catalog.commands, data.catalog.fetchers]
	some verb, _ in catalog
	some kind in ["command", "hook", "workingDir"]
	key := concat(":", [kind, verb])
}

mounts[key] := true if {
	some variable, _ in data.catalog.variables
	key := concat("", ["env:", variable])
}

# A program by its path, and what the image's own program gets.
mounts[key] := true if some key in ["command:0", "hook:0", "command:", "workingDir:"]

# METADATA
# description: >-
#   The words that names of volumes and of their sources may be made of, whether each means code. A name of such words alone,
#   at least one of which means code, makes a volume known.
names[word] := true if some word, _ in data.catalog.code_names

names[word] := false if {
	some word, _ in data.catalog.filler_names
	not data.catalog.code_names[word]
}
