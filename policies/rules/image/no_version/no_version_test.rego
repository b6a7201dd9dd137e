package policies.rules.image.no_version_test

import data.policies.rules.image.no_version

test_finds_when_there_is_neither_tag_nor_digest if {
	found := no_version.findings with input as _input("untagged", {"value": "nginx"})
	found == {_finding({"value": "nginx", "evidence": "it has neither tag nor digest"})}
}

test_finds_when_the_tag_is_latest if {
	every tag in {"latest", "Latest"} {
		found := no_version.findings with input as _input("tagged", {"value": "a", "tag": tag})
		found == {_finding({"value": "a", "evidence": sprintf("the tag %s always means the newest", [tag])})}
	}
}

test_finds_when_an_image_volume_names_no_version if {
	found := no_version.findings with input as _input("untagged", {"container": "", "volume": "app", "role": "volume", "value": "a"})
	found == {_finding({"container": "", "volume": "app", "value": "a", "evidence": "it has neither tag nor digest"})}
}

test_passes_when_the_tag_is_a_version if {
	every tag in {"1.27.3", "latest-1.2", "main"} {
		no_version.findings == set() with input as _input("tagged", {"value": "a", "tag": tag})
	}
}

test_passes_when_another_component_replaces_the_image if {
	no_version.findings == set() with input as _input("untagged", {"value": "auto"})
	found := no_version.findings with input as _input("tagged", {"value": "x:latest", "tag": "latest"})
		with data.params.placeholder_images as {"x:latest": true}
	found == set()
}

test_passes_when_a_debugging_container_uses_it if {
	no_version.findings == set() with input as _input("untagged", {"role": "ephemeral", "value": "a"})
	no_version.findings == set() with input as _input("tagged", {"role": "ephemeral", "value": "a:latest", "tag": "latest"})
}

test_finds_when_no_parameters_are_there if {
	found := no_version.findings with input as _input("untagged", {"value": "nginx"}) with data.params as {}
	found == {_finding({"value": "nginx", "evidence": "it has neither tag nor digest"})}
}

test_passes_when_there_are_no_images if {
	no_version.findings == set() with input as {"workload": {"images": {}}}
	no_version.findings == set() with input as {"workload": {}}
}

_input(group, members) := {"workload": {"images": {group: [object.union(
	{"container": "app", "volume": "", "role": "main", "field": "spec.containers[0].image", "value": "", "tag": ""},
	members,
)]}}}

_finding(members) := object.union({"container": "app", "volume": "", "field": "spec.containers[0].image"}, members)
