package policies.rules.label.version_mismatch_test

import data.policies.rules.label.version_mismatch

test_finds_when_no_application_has_the_version if {
	_found("1.26.0", [_component({})]) == {_finding("1.26.0", "nginx 1.27.3")}
	_found("1.2", [_component({}), _component({"name": "shop", "version": "v1.20"})]) == {_finding("1.2", "nginx 1.27.3, shop v1.20")}
}

test_finds_when_the_refined_version_differs if {
	component := _component({"precision": "moving", "version": "stable", "refined": "7.0.42-v2"})
	_found("9.9", [component]) == {_finding("9.9", "nginx 7.0.42-v2")}
}

test_finds_when_a_tag_and_its_refinement_differ if {
	component := _component({"precision": "floating", "version": "7.0", "refined": "7.0.42-v2"})
	_found("9.9", [component]) == {_finding("9.9", "nginx 7.0.42-v2")}
}

test_finds_when_only_a_tool_has_the_version if {
	_found("1.36", [_component({}), _component({"name": "busybox", "version": "1.36"})]) == {_finding("1.36", "nginx 1.27.3")}
}

test_passes_when_an_application_has_the_version if {
	every value in {"1.27.3", "v1.27.3", "1.27", "1.27.3-alpine", "V1.27.3"} {
		_found(value, [_component({"name": "shop", "version": "9.9.9"}), _component({})]) == set()
	}
}

test_passes_when_a_path_refines_the_version if {
	_found("7.0.42", [_component({"version": "7", "refined": "7.0.42-v2"})]) == set()
	_found("7.0.42", [_component({"precision": "none", "version": "", "refined": "7.0.42-v2"}), _component({})]) == set()
}

test_passes_when_a_version_cannot_be_told if {
	every precision in {"moving", "none", "digest"} {
		_found("1.26.0", [_component({}), _component({"name": "shop", "version": "x", "precision": precision})]) == set()
	}
}

test_passes_when_the_label_is_no_version if {
	_found("stable", [_component({})]) == set()
}

test_passes_when_there_is_no_application if {
	_found("1.0", []) == set()
	_found("1.0", [_component({"name": "busybox"})]) == set()
	version_mismatch.findings == set() with input as {"workload": {"labels": [{"field": "f", "value": "1.0"}]}}
	version_mismatch.findings == set() with input as {"workload": {"applications": [_component({})]}}
	version_mismatch.findings == set() with input as {"workload": {}}
}

_found(value, applications) := findings if {
	findings := version_mismatch.findings with input as {"workload": {
		"labels": [{"field": `metadata.labels["app.kubernetes.io/version"]`, "value": value}],
		"applications": applications,
	}}
}

_finding(value, evidence) := {
	"field": `metadata.labels["app.kubernetes.io/version"]`,
	"value": value,
	"evidence": evidence,
}

_component(members) := object.union(
	{"name": "nginx", "version": "1.27.3", "precision": "exact", "refined": ""},
	members,
)
