# METADATA
# title: Commands
# description: Which words of a command are the program that it runs, by the catalog.
package policies.lib.commands

import data.policies.lib.words

# METADATA
# description: >-
#   Whether a word is code that a program is told to run: verb is the program, flag the option before the word, position the
#   word's number, path the file it names.
runs(verb, flag, position, _) if data.catalog.commands[verb].flags[flag] in {0, position}

runs(verb, flag, 1, _) if data.catalog.commands[verb].switches[flag]

runs(verb, _, _, path) if data.catalog.commands[verb].endings[words.ending(path)]

# METADATA
# description: Whether a path is on a node, in a folder of the node's own programs.
on_node("hostPath", target) if {
	startswith(target, "/")
	elements := split(trim(target, "/"), "/")
	some last in numbers.range(1, count(elements))
	data.catalog.node_folders[concat("/", array.concat([""], array.slice(elements, 0, last)))]
}
