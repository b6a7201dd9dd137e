package policies.rules.version.driver_without_version_test

import data.policies.rules.version.driver_without_version

test_finds_when_a_url_names_no_version if {
	every segments in [[], ["app.war"], ["releases", "latest", "stable", "app.war"]] {
		_found({"segments": segments}) == {_finding("the URL names no version")}
	}
}

test_finds_when_an_image_names_no_version if {
	_found({"kind": "image"}) == {_finding("the image has neither tag nor digest")}
}

test_finds_when_the_version_is_the_newest if {
	_found({"version": "latest", "precision": "moving"}) == {_finding("latest always means the newest")}
	_found({"kind": "image", "version": "latest", "precision": "moving"}) == {_finding("latest always means the newest")}
}

test_finds_when_the_newest_follows_a_version_of_something_else if {
	_found({"version": "v1", "precision": "floating", "segments": ["api", "v1", "latest", "app.war"]}) == {_finding("latest after v1 always means the newest")}
}

test_passes_when_the_version_follows_or_is_asked_for if {
	_found({"version": "v2", "precision": "floating", "segments": ["api", "v2", "latest", "app-v2.war"]}) == set()
	_found({"version": "1.2.3", "precision": "exact", "segments": ["latest", "app.war"]}) == set()
}

test_finds_weakly_when_a_url_names_a_branch if {
	_found({"segments": ["raw", "main", "app.war"]}) == {_weak("the URL names something that moves")}
}

test_finds_weakly_when_the_version_moves if {
	_found({"version": "simple", "precision": "moving"}) == {_weak("simple moves")}
	_found({"version": "1-snapshot", "precision": "floating"}) == {_weak("1-snapshot moves")}
}

test_finds_weakly_when_a_repository_has_no_fixed_revision if {
	_found({"kind": "repository"}) == {_weak("without a revision it is the newest commit")}
	_found({"kind": "repository", "version": "master", "precision": "moving"}) == {_weak("master moves")}
	_found({"kind": "repository", "version": "latest", "precision": "moving"}) == {_weak("latest moves")}
}

test_passes_when_a_version_is_named if {
	every kind in {"url", "image", "repository"} {
		_found({"kind": kind, "version": "v2", "precision": "floating", "segments": ["latest", "v2"]}) == set()
		_found({"kind": kind, "version": "1.2.3-main", "precision": "exact", "segments": ["main"]}) == set()
		_found({"kind": kind, "version": "sha256:0a", "precision": "digest"}) == set()
	}
}

test_finds_once_when_a_tag_is_the_newest_and_moves if {
	found := _found({"version": "v1", "precision": "floating"}) with data.params.newest_tags as {"v1": true}
		with data.params.moving_tags as {"v1": true}
	found == {_finding("v1 always means the newest")}
}

test_passes_when_nothing_is_declared if {
	driver_without_version.findings == set() with input as {"workload": {"mounts": {}}}
	driver_without_version.findings == set() with input as {"workload": {}}
}

test_finds_once_when_two_containers_mount_it if {
	mount := {"volume": "war", "declarations": [_declaration({})]}
	found := driver_without_version.findings with input as {"workload": {"mounts": {"declared": [mount, mount]}}}
	found == {_finding("the URL names no version")}
}

_found(members) := findings if {
	findings := driver_without_version.findings with input as {"workload": {"mounts": {"declared": [{
		"container": "app",
		"volume": "war",
		"declarations": [_declaration(members)],
	}]}}}
}

_declaration(members) := object.union(
	{"kind": "url", "field": "spec.volumes[0].csi.volumeAttributes.url", "value": "https://x/app.war", "version": "", "precision": "", "segments": []},
	members,
)

_finding(evidence) := {
	"volume": "war",
	"field": "spec.volumes[0].csi.volumeAttributes.url",
	"value": "https://x/app.war",
	"evidence": evidence,
}

_weak(evidence) := object.union(_finding(evidence), {"weak": true})
