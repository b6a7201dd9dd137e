# METADATA
# title: Artifact that was asked for and is not there
# description: Finds artifacts that the Pod template asks for by an annotation and that nothing in the Pod brings.
package policies.rules.inject.lost

# METADATA
# title: An artifact that was asked for is not in the Pod
# description: >-
#   The Pod template asks for an artifact by the annotation `plainspec.dev/artifact`, but nothing in the Pod brings this
#   version of it to its server before the server starts: it could not be injected, or somebody took it out again. The
#   annotation would name a version that does not run. The repository may have another registry and other folders, because
#   a mirror may have been put in its place; a digest alone counts as any version.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   message: "artifact {{.Value}} is not in the Pod: {{.Evidence}}"
#   fix: do what the sentence says, or remove the annotation that asks for the artifact
#   since: "0.1.0"
findings contains finding if {
	input.workload.artifacts
	some finding in _finding
}

_finding contains {
	"container": artifact.container,
	"field": artifact.field,
	"value": artifact.value,
	"evidence": _evidence(i),
} if {
	some i, artifact in input.workload.artifacts
	not _brought[i]
}

_brought[i] if {
	some i, artifact in input.workload.artifacts
	some j, carrier in artifact.carriers
	_wanted[i][j]
	carrier.before
	_reads(artifact.target, carrier.path)
}

# What brings the version that is asked for, wherever and whenever.
_wanted[i] contains j if {
	some i, artifact in input.workload.artifacts
	some j, carrier in artifact.carriers
	_same_repository(artifact.name, carrier.name)
	_same_version(artifact.tag, artifact.digest, carrier.tag, carrier.digest)
}

# A mirror may put folders before the name, or, having none, words.
_same_repository(name, name)

_same_repository(name, mirrored) if {
	some separator in ["-", "_", "."]
	endswith(mirrored, concat("", [separator, name]))
}

_same_version(_, digest, _, digest) if digest != ""

_same_version(tag, "", tag, _) if tag != ""

_same_version(tag, _, tag, "") if tag != ""

# Somebody wrote the digest in the place of the tag: which version it is cannot be told.
_same_version(_, "", "", digest) if digest != ""

_reads("", _)

_reads(target, target) if target != ""

_evidence(i) := input.workload.artifacts[i].problem if input.workload.artifacts[i].problem != ""

else := concat("; ", _misplaced[i]) if _misplaced[i]

else := sprintf("%s; if Plainspec did not get to exchange it, apply once more", [concat("; ", _replaced[i])]) if _replaced[i]

else := "no other container writes a volume that its server mounts, and no image volume is mounted there; Plainspec did not get to add it, or something took it out again: apply once more" if {
	input.workload.artifacts[i].carriers == []
}

else := "no container and no image volume brings it; Plainspec did not get to add it, or something took it out again: apply once more"

_misplaced[i] contains sprintf("%s brings it, but starts after container %q", [_called(carrier.container), carrier.consumer]) if {
	some i, artifact in input.workload.artifacts
	some j, carrier in artifact.carriers
	_wanted[i][j]
	not carrier.before
}

_misplaced[i] contains sprintf("%s brings it to %s of container %q, which reads %s", [_called(carrier.container), carrier.path, carrier.consumer, artifact.target]) if {
	some i, artifact in input.workload.artifacts
	some j, carrier in artifact.carriers
	_wanted[i][j]
	not _reads(artifact.target, carrier.path)
}

_replaced[i] contains sprintf("%s brings another version, %s", [_called(carrier.container), carrier.value]) if {
	some i, artifact in input.workload.artifacts
	some carrier in artifact.carriers
	_same_repository(artifact.name, carrier.name)
}

_called("") := "an image volume"

_called(container) := sprintf("container %q", [container]) if container != ""
