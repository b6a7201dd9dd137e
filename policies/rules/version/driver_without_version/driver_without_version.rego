# METADATA
# title: Download without a version
# description: Finds volumes whose driver is told to fetch something without a version.
package policies.rules.version.driver_without_version

import data.policies.lib.tags

# METADATA
# title: A volume's driver fetches something without a version
# description: >-
#   A volume's driver is told what to download or which image to use, and the URL or reference names no version, or one
#   that moves. The same manifest gives other content tomorrow.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   weak_mode: warn
#   message: >-
#     volume "{{.Volume}}"{{with .Source}} ({{.}}){{end}} fetches {{.Value}}, which names no fixed version
#   fix: >-
#     name a version in the URL or reference, as in …/releases/download/v2/app.war or registry/app:2.0.1; for a repository,
#     name a tag or a commit
#   since: "0.1.0"
findings contains finding if {
	input.workload.mounts.declared
	some finding in _finding
}

_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": _nothing(declared.kind)} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	declared.version == ""
	declared.kind != "repository"
	not _moves(declared.segments)
}

_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": sprintf("%s always means the newest", [declared.version])} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	declared.kind != "repository"
	tags.newest(declared.version)
}

# A version of something else, as of the server's API, before what is the newest.
_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": sprintf("%s after %s always means the newest", [newest, declared.version])} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	declared.version != ""
	some position, newest in declared.segments
	tags.newest(newest)
	_named(array.slice(declared.segments, 0, position), declared.version)
	not _named(array.slice(declared.segments, position + 1, count(declared.segments)), declared.version)
}

_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": "the URL names something that moves", "weak": true} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	declared.version == ""
	_moves(declared.segments)
}

_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": sprintf("%s moves", [declared.version]), "weak": true} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	_may_move(declared.kind, declared.version, declared.precision)
}

_finding contains {"volume": m.volume, "field": declared.field, "value": declared.value, "evidence": "without a revision it is the newest commit", "weak": true} if {
	some m in input.workload.mounts.declared
	some declared in m.declarations
	declared.kind == "repository"
	declared.version == ""
}

_nothing("url") := "the URL names no version"

_nothing("image") := "the image has neither tag nor digest"

_named(segments, version) if {
	some segment in segments
	contains(segment, version)
}

_moves(segments) if {
	some segment in segments
	tags.moving(segment)
	not _newest_in(segments)
}

_newest_in(segments) if {
	some segment in segments
	tags.newest(segment)
}

_may_move("repository", version, _) if tags.newest(version)

_may_move(_, version, precision) if {
	precision != "exact"
	tags.moving(version)
	not tags.newest(version)
}

_may_move(_, version, "moving") if not tags.newest(version)
