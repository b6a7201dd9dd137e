package policies.rules.image.invalid_test

import data.policies.rules.image.invalid

test_finds_when_the_value_is_no_reference if {
	invalid.findings == {_finding} with input as _input("main", "my image")
}

test_passes_when_another_component_replaces_the_image if {
	found := invalid.findings with input as _input("main", "${IMAGE}") with data.params.placeholder_images as {"${IMAGE}": true}
	found == set()
}

test_passes_when_a_debugging_container_uses_it if {
	invalid.findings == set() with input as _input("ephemeral", "my image")
}

test_finds_when_no_parameters_are_there if {
	found := invalid.findings with input as _input("main", "my image") with data.params as {}
	found == {_finding}
}

test_passes_when_every_image_is_valid if {
	invalid.findings == set() with input as {"workload": {"images": {}}}
	invalid.findings == set() with input as {"workload": {}}
}

_input(role, value) := {"workload": {"images": {"invalid": [{
	"container": "app",
	"volume": "",
	"role": role,
	"field": "spec.containers[0].image",
	"value": value,
	"error": "invalid reference format",
}]}}}

_finding := {
	"container": "app",
	"volume": "",
	"field": "spec.containers[0].image",
	"value": "my image",
	"evidence": "invalid reference format",
}
