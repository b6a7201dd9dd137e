# METADATA
# title: Words
# description: What the words in paths and names say, by the catalog.
package policies.lib.words

# METADATA
# description: The words of a name, in lower case.
parts(name) := split(replace(replace(lower(name), "_", "-"), ".", "-"), "-")

# METADATA
# description: Whether an element of a path says that data is in it.
is_data(element) if {
	some part in parts(element)
	data.catalog.data_words[part]
}

# METADATA
# description: Whether an element of a path says that there may be data in it.
is_doubtful(element) if {
	some part in parts(element)
	data.catalog.doubtful_words[part]
}

# METADATA
# description: Whether the name of a volume or claim has a word for code, and besides only words that say nothing.
names_code(name) if {
	words := {word |
		some part in parts(name)
		word := trim_right(part, "0123456789")
		word != ""
	}
	some word in words
	data.catalog.code_names[word]
	every other in words {
		_code_or_filler(other)
	}
}

_code_or_filler(word) if data.catalog.code_names[word]

_code_or_filler(word) if data.catalog.filler_names[word]

# METADATA
# description: Whether a name has the word of a framework.
names_framework(name) if {
	some part in parts(name)
	data.catalog.frameworks[part]
}

# METADATA
# description: The ending of a file's name without its dot; undefined if it has none.
ending(path) := last if {
	parts := split(path, ".")
	count(parts) > 1
	last := parts[count(parts) - 1]
}
