# METADATA
# title: Rules describe themselves
# description: >-
#   Reads what `opa inspect --annotations --format json policies` prints and complains of each rule
#   that does not describe itself: a rule without a mode never denies, and nobody would notice. Runs
#   in `make verify`; the server never loads it.
package policies.checks.annotations

_modes := {"deny": 3, "warn": 2, "audit": 1}

_severities := {"critical", "high", "medium", "low"}

_texts := {"title", "description"}

_required := {"severity", "mode", "message", "fix", "since"}

_optional := {"weak_mode"}

# METADATA
# description: >-
#   How many rules describe themselves; undefined after printing the complaints. The caller asks for
#   something to be there, so that a check that is gone or misspelt cannot pass.
verdict := sprintf("METADATA of %d rules is complete", [count(_files)]) if not _complain

_complain if {
	count(violations) > 0
	print(concat("\n", sort(violations)))
}

# METADATA
# description: The complaints, one sentence each.
# scope: document
violations contains "saw no rule under data.policies.rules: the check looked at nothing" if {
	count(_files) == 0
}

violations contains sprintf("%s: want the package to be policies.rules.<category>.<rule>, in snake_case", [name]) if {
	some name, _ in _files
	not _well_named(name)
}

# The code of a rule is its package, so one package in two places would be one code for two rules.
violations contains sprintf("%s: want one file, %s, got %s", [name, want, concat(", ", sort(got))]) if {
	some name, got in _files
	want := _file(name)
	not _only(got, want)
}

violations contains sprintf("%s: no test beside it, want package %s_test", [name, name]) if {
	some name, _ in _files
	not _tested(name)
}

violations contains sprintf("%s: findings has no METADATA of scope document", [name]) if {
	some name, _ in _files
	not _described(name)
}

violations contains sprintf("%s: METADATA lacks %s", [name, key]) if {
	some name, annotations in _annotations
	some key in _texts
	not _text(annotations, key)
}

violations contains sprintf("%s: METADATA lacks custom.%s", [name, key]) if {
	some name, custom in _custom
	some key in _required
	not _text(custom, key)
}

# A misspelt key would be read by nobody.
violations contains sprintf("%s: METADATA has the unknown key custom.%s", [name, key]) if {
	some name, custom in _custom
	some key, _ in custom
	not key in (_required | _optional)
}

violations contains sprintf("%s: custom.%s is %s, want deny, warn or audit", [name, key, got]) if {
	some name, custom in _custom
	some key in {"mode", "weak_mode"}
	got := json.marshal(custom[key])
	not custom[key] in object.keys(_modes)
}

violations contains sprintf("%s: custom.weak_mode %s is not weaker than custom.mode %s", [name, weak, mode]) if {
	some name, custom in _custom
	mode := custom.mode
	weak := custom.weak_mode
	_modes[weak] >= _modes[mode]
}

violations contains sprintf("%s: custom.severity is %q, want critical, high, medium or low", [name, severity]) if {
	some name, custom in _custom
	severity := custom.severity
	_text(custom, "severity")
	not severity in _severities
}

violations contains sprintf("%s: custom.since is %q, want a version such as 0.1", [name, since]) if {
	some name, custom in _custom
	since := custom.since
	_text(custom, "since")
	not regex.match(`^[0-9]+\.[0-9]+(\.[0-9]+)?$`, since)
}

violations contains sprintf("the title %q is used by %s", [title, concat(" and ", sort(names))]) if {
	some title, names in _titles
	count(names) > 1
}

_prefix := "data.policies.rules."

# The files of each rule's package, by package.
_files[name] contains file if {
	some name, files in input.namespaces
	startswith(name, _prefix)
	not endswith(name, "_test")
	some file in files
}

# The METADATA of each rule's findings, by package.
_annotations[name] := entry.annotations if {
	some entry in input.annotations
	entry.annotations.scope == "document"
	path := [part.value | some part in entry.path]
	path[count(path) - 1] == "findings"
	name := concat(".", array.slice(path, 0, count(path) - 1))
	startswith(name, _prefix)
}

_custom[name] := object.get(annotations, "custom", {}) if some name, annotations in _annotations

_titles[annotations.title] contains name if {
	some name, annotations in _annotations
	_text(annotations, "title")
}

_well_named(name) if regex.match(`^data\.policies\.rules\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`, name)

_file(name) := path if {
	parts := split(trim_prefix(name, _prefix), ".")
	path := sprintf("rules/%s/%s.rego", [concat("/", parts), parts[count(parts) - 1]])
}

# `opa inspect` prints a file's path with or without the folder it was given.
_only(files, want) if {
	count(files) == 1
	some file in files
	endswith(concat("", ["/", file]), concat("", ["/", want]))
}

_tested(name) if input.namespaces[sprintf("%s_test", [name])]

_described(name) if _annotations[name]

_text(object, key) if {
	is_string(object[key])
	trim_space(object[key]) != ""
}
