package policies.rules.version.unfilled_volume_test

import data.policies.rules.version.unfilled_volume

test_finds_when_the_program_is_in_an_empty_volume if {
	reference := _command({"path": "/job/run"})
	_found({"references": [reference]}) == {_finding("spec.containers[0].command[0] runs /job/run")}
}

test_finds_when_the_file_of_an_interpreter_is_in_an_empty_volume if {
	reference := _command({"field": "spec.containers[0].command[1]", "verb": "python", "position": 1, "path": "/job/app.py"})
	_found({"references": [reference]}) == {_finding("spec.containers[0].command[1] runs /job/app.py")}
}

test_passes_when_a_script_could_write_it_before if {
	every reference in [
		_command({"field": "spec.containers[0].command[2]", "path": "/venv/bin/python"}),
		_command({"field": "spec.containers[0].args[0]", "path": "/job/run"}),
		_command({"field": "spec.containers[0].command[1]", "verb": "nginx", "position": 1}),
		_command({"field": "spec.containers[0].command[2]", "verb": "python", "position": 1}),
		_command({"write": true}),
		_command({"kind": "workingDir"}),
	] {
		_found({"references": [reference]}) == set()
	}
}

test_finds_when_the_folder_of_a_stock_server_is_empty if {
	every repository in ["library/nginx", "mirror/library/nginx"] {
		_found({"path": "/usr/share/nginx/html", "image": "nginx", "repository": repository}) == {object.union(
			_finding("/usr/share/nginx/html holds the pages of nginx"),
			{"value": "/usr/share/nginx/html"},
		)}
	}
}

test_finds_weakly_when_the_image_may_fill_the_folder if {
	every repository in ["bitnami/nginx", "acme/nginx", ""] {
		_found({"path": "/usr/share/nginx/html", "image": "nginx", "repository": repository}) == {object.union(
			_finding("/usr/share/nginx/html holds the pages of nginx"),
			{"value": "/usr/share/nginx/html", "weak": true},
		)}
	}
}

test_finds_weakly_when_the_stock_image_is_no_server if {
	_found({"path": "/usr/share/nginx/html", "image": "python", "repository": "library/python"}) == {object.union(
		_finding("/usr/share/nginx/html holds the pages of nginx"),
		{"value": "/usr/share/nginx/html", "weak": true},
	)}
}

test_passes_when_the_server_mixes_code_and_data if {
	_found({"path": "/var/www/html", "image": "wordpress", "repository": "library/wordpress"}) == set()
}

test_finds_weakly_when_path_and_name_say_code if {
	_found({"path": "/code", "volume": "code-volume"}) == {object.union(
		_finding(`/code holds code by habit, and its name is "code-volume"`),
		{"value": "/code", "volume": "code-volume", "weak": true},
	)}
}

test_passes_when_the_empty_volume_is_a_place_to_work if {
	every path in {"/tmp", "/code", "/var/cache/nginx"} {
		_found({"path": path, "image": "nginx"}) == set()
	}
	_found({"path": "/tmp", "volume": "code"}) == set()
}

test_passes_when_another_container_than_the_main_one_mounts_it if {
	_found({"role": "ephemeral", "references": [_command({"path": "/job/run"})]}) == set()
	_found({"role": "init", "path": "/usr/share/nginx/html", "image": "nginx", "repository": "library/nginx"}) == set()
}

test_passes_when_nothing_is_empty if {
	unfilled_volume.findings == set() with input as {"workload": {"mounts": {}}}
	unfilled_volume.findings == set() with input as {"workload": {}}
}

_found(mount) := findings if {
	findings := unfilled_volume.findings with input as {"workload": {"mounts": {"scratch": [_mount(mount)]}}}
}

_finding(evidence) := {
	"container": "app",
	"volume": "work",
	"field": "spec.containers[0].volumeMounts[0]",
	"value": "/job",
	"evidence": evidence,
}

_mount(members) := object.union(
	{
		"container": "app", "role": "main", "image": "shop", "repository": "team/shop", "path": "/job", "above": [], "segments": ["job"],
		"field": "spec.containers[0].volumeMounts[0]", "volume": "work", "type": "emptyDir", "source": "emptyDir", "target": "",
		"subPath": "", "readOnly": false, "references": [], "declarations": [],
	},
	members,
)

_command(members) := object.union(
	{"kind": "command", "field": "spec.containers[0].command[0]", "path": "/job/x", "verb": "x", "flag": "", "position": 0, "write": false},
	members,
)
