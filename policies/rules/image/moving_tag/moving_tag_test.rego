package policies.rules.image.moving_tag_test

import data.policies.rules.image.moving_tag

test_finds_when_the_tag_has_no_number if {
	moving_tag.findings == {_finding("alpine")} with input as _input({"tag": "alpine", "precision": "moving"})
}

test_finds_when_the_tag_is_one_of_those_that_move if {
	every tag in {"latest-3.19", "1.2.3-SNAPSHOT", "2-nightly"} {
		moving_tag.findings == {_finding(tag)} with input as _input({"tag": tag, "precision": "floating"})
	}
	found := moving_tag.findings with input as _input({"tag": "e2e", "precision": "floating"})
		with data.params.moving_tags as {"e2e": true}
	found == {_finding("e2e")}
}

test_passes_when_the_tag_is_a_version if {
	every tag in {"1.27.3", "8", "main-0a1b2c3"} {
		moving_tag.findings == set() with input as _input({"tag": tag, "precision": "exact"})
	}
}

test_passes_when_the_tag_is_latest if {
	moving_tag.findings == set() with input as _input({"tag": "latest", "precision": "moving"})
}

test_passes_when_another_component_replaces_the_image if {
	found := moving_tag.findings with input as _input({"tag": "stable", "precision": "moving"})
		with data.params.placeholder_images as {"a:tag": true}
	found == set()
}

test_passes_when_a_debugging_container_uses_it if {
	moving_tag.findings == set() with input as _input({"role": "ephemeral", "tag": "stable", "precision": "moving"})
}

test_finds_when_no_parameters_are_there if {
	found := moving_tag.findings with input as _input({"tag": "alpine", "precision": "moving"}) with data.params as {}
	found == {_finding("alpine")}
}

test_passes_when_there_are_no_images if {
	moving_tag.findings == set() with input as {"workload": {"images": {}}}
	moving_tag.findings == set() with input as {"workload": {}}
}

_input(members) := {"workload": {"images": {"tagged": [object.union(
	{"container": "app", "volume": "", "role": "main", "field": "spec.containers[0].image", "value": "a:tag"},
	members,
)]}}}

_finding(tag) := {
	"container": "app",
	"volume": "",
	"field": "spec.containers[0].image",
	"value": "a:tag",
	"evidence": sprintf("the tag %s names no fixed version", [tag]),
}
