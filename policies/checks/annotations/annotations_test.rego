package policies.checks.annotations_test

import data.policies.checks.annotations

test_passes_when_every_rule_describes_itself if {
	annotations.violations == set() with input as _input(_good)
	annotations.verdict == "METADATA of 1 rules is complete" with input as _input(_good)
}

test_passes_when_a_weak_mode_is_given if {
	annotations.violations == set() with input as _input(_with_custom({"weak_mode": "warn"}))
}

test_passes_when_the_path_has_the_folder_in_front if {
	files := ["policies/rules/image/no_version/no_version.rego"]
	namespaces := object.union(_namespaces, {"data.policies.rules.image.no_version": files})
	annotations.violations == set() with input as {"namespaces": namespaces, "annotations": [_entry(_good)]}
}

test_finds_when_no_rule_was_seen if {
	namespaces := {"data.policies.main": ["main/main.rego"]}
	_complains({"namespaces": namespaces}, {"saw no rule under data.policies.rules: the check looked at nothing"})
}

test_finds_when_nothing_was_read if {
	_complains({}, {"saw no rule under data.policies.rules: the check looked at nothing"})
}

test_finds_when_the_package_is_badly_named if {
	every name, file in {
		"data.policies.rules.image.NoVersion": "rules/image/NoVersion/NoVersion.rego",
		"data.policies.rules.image": "rules/image/image.rego",
		"data.policies.rules.image.no.version": "rules/image/no/version/version.rego",
	} {
		entry := json.patch(_entry(_good), [{"op": "replace", "path": "/path", "value": _path(name)}])
		namespaces := {name: [file], sprintf("%s_test", [name]): ["x_test.rego"]}
		want := sprintf("%s: want the package to be policies.rules.<category>.<rule>, in snake_case", [name])
		_complains({"namespaces": namespaces, "annotations": [entry]}, {want})
	}
}

test_finds_when_two_files_share_a_package if {
	namespaces := object.union(_namespaces, {"data.policies.rules.image.no_version": [
		"rules/image/no_version/no_version.rego",
		"rules/image/no_version/more.rego",
	]})
	want := concat("", [
		"data.policies.rules.image.no_version: want one file, rules/image/no_version/no_version.rego, ",
		"got rules/image/no_version/more.rego, rules/image/no_version/no_version.rego",
	])
	_complains({"namespaces": namespaces, "annotations": [_entry(_good)]}, {want})
}

test_finds_when_the_file_is_elsewhere if {
	namespaces := object.union(_namespaces, {"data.policies.rules.image.no_version": ["rules/image/rule.rego"]})
	want := concat("", [
		"data.policies.rules.image.no_version: want one file, ",
		"rules/image/no_version/no_version.rego, got rules/image/rule.rego",
	])
	_complains({"namespaces": namespaces, "annotations": [_entry(_good)]}, {want})
}

test_finds_when_the_test_is_missing if {
	namespaces := object.remove(_namespaces, {"data.policies.rules.image.no_version_test"})
	want := concat("", [
		"data.policies.rules.image.no_version: no test beside it, ",
		"want package data.policies.rules.image.no_version_test",
	])
	_complains({"namespaces": namespaces, "annotations": [_entry(_good)]}, {want})
}

test_finds_when_findings_has_no_metadata if {
	want := {"data.policies.rules.image.no_version: findings has no METADATA of scope document"}
	_complains({"namespaces": _namespaces, "annotations": []}, want)
	_complains({"namespaces": _namespaces, "annotations": [_entry(object.union(_good, {"scope": "rule"}))]}, want)
}

test_finds_when_the_title_is_missing if {
	_complains(
		_input(object.remove(_good, {"title"})),
		{"data.policies.rules.image.no_version: METADATA lacks title"},
	)
}

test_finds_when_the_description_is_missing if {
	_complains(
		_input(object.remove(_good, {"description"})),
		{"data.policies.rules.image.no_version: METADATA lacks description"},
	)
}

test_finds_when_custom_is_missing if {
	_complains(
		_input(object.remove(_good, {"custom"})),
		{
			"data.policies.rules.image.no_version: METADATA lacks custom.severity",
			"data.policies.rules.image.no_version: METADATA lacks custom.mode",
			"data.policies.rules.image.no_version: METADATA lacks custom.message",
			"data.policies.rules.image.no_version: METADATA lacks custom.fix",
			"data.policies.rules.image.no_version: METADATA lacks custom.since",
		},
	)
}

test_finds_when_the_severity_is_missing if _complains_of_lacking("severity")

test_finds_when_the_mode_is_missing if _complains_of_lacking("mode")

test_finds_when_the_message_is_missing if _complains_of_lacking("message")

test_finds_when_the_fix_is_missing if _complains_of_lacking("fix")

test_finds_when_since_is_missing if _complains_of_lacking("since")

test_finds_when_a_text_is_blank_or_no_text if {
	every text in ["", " ", 1, null, ["a"]] {
		_complains(
			_input(_with_custom({"message": text})),
			{"data.policies.rules.image.no_version: METADATA lacks custom.message"},
		)
	}
}

test_finds_when_a_key_is_unknown if {
	_complains(
		_input(_with_custom({"weak_mod": "warn"})),
		{"data.policies.rules.image.no_version: METADATA has the unknown key custom.weak_mod"},
	)
}

test_finds_when_the_mode_is_unknown if {
	_complains(
		_input(_with_custom({"mode": "block"})),
		{`data.policies.rules.image.no_version: custom.mode is "block", want deny, warn or audit`},
	)
}

test_finds_when_the_weak_mode_is_unknown if {
	every text, shown in {"log": `"log"`, "": `""`, 1: "1"} {
		_complains(
			_input(_with_custom({"weak_mode": text})),
			{sprintf("data.policies.rules.image.no_version: custom.weak_mode is %s, want deny, warn or audit", [shown])},
		)
	}
}

test_finds_when_the_weak_mode_is_not_weaker if {
	every weak in ["deny", "warn"] {
		_complains(
			_input(_with_custom({"mode": "warn", "weak_mode": weak})),
			{sprintf("data.policies.rules.image.no_version: custom.weak_mode %s is not weaker than custom.mode warn", [weak])},
		)
	}
}

test_finds_when_the_severity_is_unknown if {
	_complains(
		_input(_with_custom({"severity": "bad"})),
		{`data.policies.rules.image.no_version: custom.severity is "bad", want critical, high, medium or low`},
	)
}

test_passes_when_since_has_a_patch_number if {
	annotations.violations == set() with input as _input(_with_custom({"since": "0.1.0"}))
}

test_finds_when_since_is_no_version if {
	every since in ["v1.0", "1", "1.0.0-rc", "soon"] {
		_complains(
			_input(_with_custom({"since": since})),
			{sprintf("data.policies.rules.image.no_version: custom.since is %q, want a version such as 0.1", [since])},
		)
	}
}

test_finds_when_two_rules_share_a_title if {
	other := json.patch(
		_entry(_good),
		[{"op": "replace", "path": "/path", "value": _path("data.policies.rules.image.invalid")}],
	)
	namespaces := object.union(_namespaces, {
		"data.policies.rules.image.invalid": ["rules/image/invalid/invalid.rego"],
		"data.policies.rules.image.invalid_test": ["rules/image/invalid/invalid_test.rego"],
	})
	want := concat("", [
		`the title "Images name a version" is used by `,
		"data.policies.rules.image.invalid and data.policies.rules.image.no_version",
	])
	_complains({"namespaces": namespaces, "annotations": [_entry(_good), other]}, {want})
}

_complains(document, want) if {
	annotations.violations == want with input as document
	not annotations.verdict with input as document
}

_complains_of_lacking(key) if {
	custom := object.remove(_good.custom, {key})
	_complains(
		_input(json.patch(_good, [{"op": "replace", "path": "/custom", "value": custom}])),
		{sprintf("data.policies.rules.image.no_version: METADATA lacks custom.%s", [key])},
	)
}

_good := {
	"scope": "document",
	"title": "Images name a version",
	"description": "An image without a tag or digest says nothing.",
	"custom": {
		"severity": "high",
		"mode": "deny",
		"message": "names no version",
		"fix": "write a tag",
		"since": "0.1",
	},
}

_with_custom(custom) := object.union(_good, {"custom": custom})

_namespaces := {
	"data.policies.main": ["main/main.rego"],
	"data.policies.rules.image.no_version": ["rules/image/no_version/no_version.rego"],
	"data.policies.rules.image.no_version_test": ["rules/image/no_version/no_version_test.rego"],
}

_input(document) := {"namespaces": _namespaces, "annotations": [_entry(document)]}

_entry(document) := {"path": _path("data.policies.rules.image.no_version"), "annotations": document}

_path(name) := [{"type": "string", "value": part} | some part in array.concat(split(name, "."), ["findings"])]
