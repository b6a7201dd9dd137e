package policies.rules.inject.lost_test

import data.policies.rules.inject.lost

test_passes_when_an_init_container_brings_it if {
	_found({}, [_carrier({})]) == set()
}

test_passes_when_the_server_cannot_be_told if {
	_found({"container": "", "target": "", "problem": "no profile matches"}, [_carrier({"path": "/srv"})]) == set()
}

test_passes_when_it_is_there_though_it_could_not_be_injected if {
	_found({"problem": "something is mounted there already"}, [_carrier({})]) == set()
}

test_passes_when_one_of_several_brings_it if {
	_found({}, [_carrier({"tag": "v1"}), _carrier({"path": "/srv"}), _carrier({"before": false}), _carrier({})]) == set()
}

test_passes_when_a_mirror_was_put_in_its_place if {
	every name in ["sample", "geektime-sample", "geektime_sample", "geektime.sample"] {
		_found({}, [_carrier({"registry": "mirror.example.com", "repository": concat("/", ["x", name]), "name": name})]) == set()
	}
}

test_passes_when_a_digest_was_put_in_the_place_of_the_tag if {
	_found({}, [_carrier({"tag": "", "digest": "sha256:a"})]) == set()
}

test_passes_when_a_digest_was_added if {
	_found({}, [_carrier({"digest": "sha256:a"})]) == set()
}

test_passes_when_the_digest_is_the_same if {
	_found({"digest": "sha256:a"}, [_carrier({"tag": "", "digest": "sha256:a"})]) == set()
	_found({"tag": "", "digest": "sha256:a"}, [_carrier({"digest": "sha256:a"})]) == set()
}

test_passes_when_a_digest_was_left_out_beside_the_tag if {
	_found({"digest": "sha256:a"}, [_carrier({})]) == set()
}

test_finds_when_the_problem_is_known if {
	_found({"problem": "no profile matches"}, [_carrier({"tag": "v1"})]) == {_finding("no profile matches")}
}

test_finds_when_no_container_brings_it if {
	_found({}, [_carrier({"name": "git"})]) == {_finding("no container and no image volume brings it; Plainspec did not get to add it, or something took it out again: apply once more")}
	every name in ["mysample", "sample-2", "", "-"] {
		_found({}, [_carrier({"name": name})]) == {_finding("no container and no image volume brings it; Plainspec did not get to add it, or something took it out again: apply once more")}
	}
}

test_finds_when_nothing_shares_a_volume_with_the_server if {
	_found({}, []) == {_finding("no other container writes a volume that its server mounts, and no image volume is mounted there; Plainspec did not get to add it, or something took it out again: apply once more")}
}

test_finds_when_another_version_is_there if {
	_found({}, [_carrier({"value": "geektime/sample:v1", "tag": "v1"})]) == {_finding(`container "artifact" brings another version, geektime/sample:v1; if Plainspec did not get to exchange it, apply once more`)}
	_found({}, [_carrier({"value": "sample:v1", "tag": "v1", "before": false})]) == {_finding(`container "artifact" brings another version, sample:v1; if Plainspec did not get to exchange it, apply once more`)}
	_found({}, [_carrier({"value": "geektime/sample", "tag": ""})]) == {_finding(`container "artifact" brings another version, geektime/sample; if Plainspec did not get to exchange it, apply once more`)}
}

test_finds_when_another_digest_is_there if {
	_found({"digest": "sha256:a"}, [_carrier({"value": "sample:v2@sha256:b", "digest": "sha256:b"})]) == {_finding(`container "artifact" brings another version, sample:v2@sha256:b; if Plainspec did not get to exchange it, apply once more`)}
	_found({"tag": "", "digest": "sha256:a"}, [_carrier({"value": "sample:v2"})]) == {_finding(`container "artifact" brings another version, sample:v2; if Plainspec did not get to exchange it, apply once more`)}
	_found({"tag": "", "digest": "sha256:a"}, [_carrier({"value": "sample", "tag": ""})]) == {_finding(`container "artifact" brings another version, sample; if Plainspec did not get to exchange it, apply once more`)}
}

test_finds_when_an_image_volume_has_another_version if {
	_found({}, [_carrier({"container": "", "role": "volume", "value": "geektime/sample:v1", "tag": "v1"})]) == {_finding("an image volume brings another version, geektime/sample:v1; if Plainspec did not get to exchange it, apply once more")}
}

test_finds_when_it_comes_too_late if {
	_found({}, [_carrier({"before": false})]) == {_finding(`container "artifact" brings it, but starts after container "tomcat"`)}
}

test_finds_when_it_is_not_where_the_server_reads if {
	found := _found({}, [_carrier({"path": "/srv"}), _carrier({"tag": "v1"})])
	found == {_finding(`container "artifact" brings it to /srv of container "tomcat", which reads /webapps`)}
}

test_finds_when_it_is_broken_in_two_ways if {
	_found({}, [_carrier({"before": false, "path": "/srv"})]) == {_finding(concat("; ", [
		`container "artifact" brings it to /srv of container "tomcat", which reads /webapps`,
		`container "artifact" brings it, but starts after container "tomcat"`,
	]))}
}

# Whatever else is there: a missing piece must not switch the rule off.
test_finds_when_it_is_no_version_or_no_reference if {
	every artifact in [
		{"tag": "", "problem": "it names no version"},
		{"name": "", "tag": "", "problem": "it is no image reference"},
	] {
		_found(artifact, [_carrier({"name": "", "tag": ""})]) == {_finding(artifact.problem)}
		_found(artifact, [_carrier({"tag": ""})]) == {_finding(artifact.problem)}
	}
}

test_finds_each_artifact_by_itself if {
	found := lost.findings with input as {"workload": {"artifacts": [
		_artifact({}, [_carrier({})]),
		_artifact({"field": "other", "value": "geektime/other:v1", "name": "other", "tag": "v1"}, [_carrier({})]),
	]}}
	found == {object.union(_finding("no container and no image volume brings it; Plainspec did not get to add it, or something took it out again: apply once more"), {"field": "other", "value": "geektime/other:v1"})}
}

test_passes_when_nothing_is_asked_for if {
	lost.findings == set() with input as {"workload": {"artifacts": []}}
	lost.findings == set() with input as {"workload": {}}
	lost.findings == set() with input as {}
}

_found(artifact, carriers) := findings if {
	findings := lost.findings with input as {"workload": {"artifacts": [_artifact(artifact, carriers)]}}
}

_finding(evidence) := {
	"container": "tomcat",
	"field": `metadata.annotations["plainspec.dev/artifact"]`,
	"value": "geektime/sample:v2",
	"evidence": evidence,
}

_artifact(members, carriers) := object.union(
	{
		"field": `metadata.annotations["plainspec.dev/artifact"]`, "value": "geektime/sample:v2", "registry": "docker.io",
		"repository": "geektime/sample", "name": "sample", "tag": "v2", "digest": "", "precision": "floating", "words": ["v2"], "error": "",
		"container": "tomcat", "target": "/webapps", "problem": "", "carriers": carriers,
	},
	members,
)

_carrier(members) := object.union(
	{
		"container": "artifact", "role": "init", "field": "spec.initContainers[0].image", "value": "geektime/sample:v2", "registry": "docker.io",
		"repository": "geektime/sample", "name": "sample", "tag": "v2", "digest": "", "precision": "floating", "words": ["v2"], "error": "",
		"consumer": "tomcat", "path": "/webapps", "before": true,
	},
	members,
)
