package policies.rules.version.hidden_in_volume_test

import data.policies.rules.version.hidden_in_volume

test_finds_when_webapps_is_on_a_disk if {
	_found({"image": "tomcat", "path": "/root/apache-tomcat-7.0.42-v2/webapps"}) == {_finding(
		"/root/apache-tomcat-7.0.42-v2/webapps",
		"a folder called webapps holds web applications",
	)}
}

test_finds_when_the_folder_of_the_server_is_on_a_claim if {
	_found({"image": "nginx", "path": "/usr/share/nginx/html"}) == {_finding(
		"/usr/share/nginx/html",
		"/usr/share/nginx/html holds the pages of nginx",
	)}
}

test_finds_when_below_the_folder_of_the_server if {
	_found({"image": "kube-nginxapp1", "path": "/usr/share/nginx/html/app1"}) == {_finding(
		"/usr/share/nginx/html/app1",
		"/usr/share/nginx/html holds the pages of nginx",
	)}
}

test_passes_when_data_is_below_the_folder_of_the_server if {
	every path in {"/usr/share/nginx/html/user-uploads", "/usr/local/tomcat/webapps/ROOT/images", "/usr/local/tomcat/logs"} {
		_found({"image": "nginx", "path": path}) == set()
		_found({"image": "tomcat", "path": path}) == set()
	}
}

test_finds_when_the_program_is_in_the_volume if {
	_found({"path": "/data", "references": [_command({"path": "/data/bin/run", "verb": "run"})]}) == {_finding(
		"/data",
		"spec.containers[0].command[0] runs /data/bin/run",
	)}
}

test_finds_when_the_program_has_the_name_of_one_that_writes if {
	_found({"path": "/data", "references": [_command({"path": "/data/bin/cp", "verb": "cp"})]}) == {_finding(
		"/data",
		"spec.containers[0].command[0] runs /data/bin/cp",
	)}
}

test_finds_when_an_interpreter_runs_a_file_of_the_volume if {
	every reference in [
		_command({"verb": "java", "flag": "-jar", "position": 3, "path": "/data/x"}),
		_command({"verb": "python", "position": 1, "path": "/data/x"}),
		_command({"verb": "python", "flag": "-u", "position": 1, "path": "/data/x"}),
		_command({"kind": "hook", "verb": "sh", "position": 1, "path": "/data/x"}),
	] {
		_found({"path": "/data", "references": [reference]}) == {_finding("/data", "spec.containers[0].command[0] runs /data/x")}
	}
}

test_finds_when_the_arguments_start_with_code if {
	reference := _command({"verb": "", "position": 1, "path": "/data/app.py"})
	_found({"path": "/data", "references": [reference]}) == {_finding("/data", "spec.containers[0].command[0] runs /data/app.py")}
}

test_passes_when_a_command_only_names_the_volume if {
	every reference in [
		_command({"verb": "python", "position": 2, "path": "/data/in.py"}),
		_command({"verb": "python", "flag": "-m", "position": 1, "path": "/data/http.server"}),
		_command({"verb": "", "position": 1, "path": "/data"}),
		_command({"verb": "redis-server", "position": 1, "path": "/data/redis.conf"}),
		_command({"verb": "", "position": 0, "path": "/data/x", "write": true}),
		_command({"kind": "env", "verb": "HOME", "path": "/data"}),
		_command({"verb": "AIRFLOW__CORE__DAGS_FOLDER", "position": 2, "path": "/data/x"}),
		_command({"verb": "PYTHONPATH", "position": 2, "path": "/data/x"}),
	] {
		_found({"path": "/data", "references": [reference]}) == set()
	}
}

test_passes_when_the_node_has_its_own_programs if {
	reference := _command({"path": "/host/usr/bin/tool"})
	every target in {"/", "/usr/bin", "/opt/cni/bin/"} {
		_found({"type": "hostPath", "target": target, "path": "/host", "references": [reference]}) == set()
	}
	_found({"type": "hostPath", "target": "/usr/lib/python3/dist-packages", "path": "/usr/lib/python3/dist-packages"}) == set()
	_found({"type": "hostPath", "target": "/usr/src", "path": "/usr/src"}) == set()
	_found({"type": "hostPath", "target": "/usr/src", "path": "/src", "volume": "src"}) == set()
}

test_finds_when_the_program_is_on_the_node_elsewhere if {
	mount := {"type": "hostPath", "target": "/root/app", "path": "/app", "references": [_command({"path": "/app/run"})]}
	_found(mount) == {_finding("/app", "spec.containers[0].command[0] runs /app/run")}
}

test_finds_when_a_stock_runtime_works_in_the_volume if {
	reference := _command({"kind": "workingDir", "path": "/srv/shop", "verb": "npm"})
	_found({"image": "node", "path": "/srv/shop", "references": [reference]}) == {_finding(
		"/srv/shop",
		"spec.containers[0].command[0]: npm runs the code of its working directory",
	)}
	own := _command({"kind": "workingDir", "path": "/srv/shop", "verb": ""})
	_found({"image": "php", "path": "/srv/shop", "references": [own]}) == {_finding(
		"/srv/shop",
		"spec.containers[0].command[0]: php runs the code of its working directory",
	)}
}

test_passes_when_another_program_works_in_the_volume if {
	reference := _command({"kind": "workingDir", "path": "/srv/shop", "verb": "ls"})
	_found({"image": "node", "path": "/srv/shop", "references": [reference]}) == set()
}

test_finds_weakly_when_a_stock_runtime_works_in_a_workspace if {
	reference := _command({"kind": "workingDir", "path": "/workspace/x", "verb": "npm"})
	_found({"image": "node", "path": "/workspace", "references": [reference]}) == {_weak(
		"/workspace",
		"/workspace/x is the working directory",
	)}
}

test_finds_weakly_when_any_image_works_in_the_volume if {
	reference := _command({"kind": "workingDir", "path": "/srv/shop", "verb": "gunicorn"})
	_found({"path": "/srv/shop", "references": [reference]}) == {_weak("/srv/shop", "/srv/shop is the working directory")}
}

test_passes_when_any_image_works_where_data_is if {
	every path in {"/data/x", "/home/me", "/srv/uploads"} {
		reference := _command({"kind": "workingDir", "path": path, "verb": ""})
		_found({"path": path, "references": [reference]}) == set()
	}
}

test_finds_when_a_variable_names_the_folder_of_dags if {
	reference := _command({"kind": "env", "verb": "AIRFLOW__CORE__DAGS_FOLDER", "path": "/data/x"})
	_found({"path": "/data", "references": [reference]}) == {_finding("/data", "spec.containers[0].command[0] names it as a folder of code")}
}

test_finds_weakly_when_a_variable_names_a_search_path if {
	reference := _command({"kind": "env", "verb": "PYTHONPATH", "path": "/data/x"})
	_found({"path": "/data", "references": [reference]}) == {_weak("/data", "spec.containers[0].command[0] names it as a folder of code")}
}

test_finds_when_the_entrypoint_is_on_a_claim if {
	_found({"path": "/entrypoint.sh"}) == {_finding("/entrypoint.sh", "/entrypoint.sh is what containers of this image start with")}
}

test_finds_weakly_when_a_program_is_mounted_as_a_file if {
	_found({"path": "/opt/tool/run.py"}) == {_weak("/opt/tool/run.py", "/opt/tool/run.py is a program")}
}

test_passes_when_the_program_mounted_as_a_file_is_a_setting if {
	_found({"path": "/etc/profile.d/x.sh"}) == set()
	_found({"path": "/opt/uploads/x.sh"}) == set()
}

test_finds_weakly_when_the_folder_holds_code_by_habit if {
	_found({"path": "/src"}) == {_weak("/src", "/src holds code by habit; a folder called src holds source code")}
}

test_passes_when_a_tool_or_a_store_mounts_it if {
	every image in {"busybox", "postgres"} {
		_found({"image": image, "path": "/code"}) == set()
		_found({"image": image, "path": "/opt/x", "volume": "code"}) == set()
	}
	_found({"image": "busybox", "path": "/usr/share/nginx/html"}) == set()
	_found({"image": "busybox", "path": "/opt/webapps"}) == set()
}

test_finds_weakly_when_the_volume_is_called_code if {
	_found({"path": "/opt/x", "volume": "code-volume"}) == {_weak_of("code-volume", "/opt/x", `its name is "code-volume"`)}
	_found({"path": "/opt/x", "target": "my-app-pvc2"}) == {_weak("/opt/x", `its name is "my-app-pvc2"`)}
}

test_passes_when_the_name_says_something_else if {
	every name in {"app-data", "pvc", "wordpress-html"} {
		_found({"path": "/opt/x", "target": name}) == set()
	}
	_found({"path": "/var/lib/x", "volume": "app"}) == set()
	_found({"path": "/opt/x/uploads", "volume": "app"}) == set()
}

test_finds_weakly_when_a_cms_mixes_code_and_data if {
	_found({"image": "wordpress", "path": "/var/www/html"}) == {_weak(
		"/var/www/html",
		"/var/www/html holds the code and uploads of WordPress",
	)}
}

test_finds_weakly_when_the_pod_writes_the_volume if {
	reader := _mount({"image": "nginx", "path": "/usr/share/nginx/html"})
	every writer in [
		_mount({"container": "w", "role": "init", "path": "/out", "references": [_command({"verb": "", "position": 1, "write": true})]}),
		_mount({"container": "w", "role": "init", "path": "/out", "references": [_command({"verb": "cp", "position": 2})]}),
		_mount({"container": "w", "role": "init", "path": "/out", "image": "pages"}),
		_mount({"container": "w", "role": "main", "path": "/out", "image": "git-sync"}),
	] {
		found := hidden_in_volume.findings with input as _input([reader, writer])
		found == {_weak("/usr/share/nginx/html", "/usr/share/nginx/html holds the pages of nginx; the Pod itself writes to the volume")}
	}
}

test_finds_when_others_do_not_write_the_volume if {
	reader := _mount({"image": "nginx", "path": "/usr/share/nginx/html"})
	every other in [
		_mount({"container": "w", "role": "init", "path": "/out", "image": "busybox", "references": [_command({"verb": "chown", "position": 2})]}),
		_mount({"container": "w", "path": "/out", "references": [_command({"kind": "env", "verb": "cp"})]}),
		_mount({"container": "w", "path": "/out", "readOnly": true, "references": [_command({"verb": "cp", "position": 1})]}),
		_mount({"container": "w", "role": "init", "path": "/out", "image": "nginx"}),
		_mount({"container": "w", "role": "init", "path": "/out", "image": "pages", "readOnly": true}),
		_mount({"container": "w", "role": "main", "path": "/out", "image": "git-sync", "readOnly": true}),
		_mount({"container": "w", "role": "init", "path": "/out", "image": "pages", "volume": "other"}),
	] {
		found := hidden_in_volume.findings with input as _input([reader, other])
		found == {_finding("/usr/share/nginx/html", "/usr/share/nginx/html holds the pages of nginx")}
	}
}

test_passes_when_the_container_itself_writes_what_only_names_suggest if {
	reference := _command({"verb": "tee", "position": 1, "path": "/code/x"})
	_found({"path": "/code", "references": [reference]}) == set()
}

test_finds_weakly_when_the_container_writes_another_volume if {
	mounts := [
		_mount({"path": "/code"}),
		_mount({"path": "/out", "volume": "logs", "references": [_command({"verb": "tee", "position": 1})]}),
		_mount({"container": "w", "path": "/in", "references": [_command({"verb": "tee", "position": 1})]}),
	]
	found := hidden_in_volume.findings with input as _input(mounts)
	found == {_weak("/code", "/code holds code by habit")}
}

test_finds_weakly_when_several_fetch_and_names_one if {
	fetchers := [_mount({"container": name, "role": "init", "path": "/dir", "image": "git"}) | some name in ["second", "first"]]
	found := hidden_in_volume.findings with input as _input(array.concat([_mount({"image": "node", "path": "/dir"})], fetchers))
	found == {_weak("/dir", `container "first" fetches source code into it`)}
}

test_finds_weakly_when_a_runtime_reads_what_another_fetches if {
	every other in [
		_mount({"container": "clone", "role": "init", "path": "/dir", "image": "git"}),
		_mount({"container": "clone", "role": "init", "path": "/dir", "image": "pages", "references": [_command({"verb": "git", "position": 3})]}),
	] {
		every image in {"node", "php-fpm"} {
			found := hidden_in_volume.findings with input as _input([_mount({"image": image, "path": "/dir"}), other])
			found == {_weak("/dir", `container "clone" fetches source code into it`)}
		}
		every reader in [
			{"image": "dashboards", "path": "/dir"},
			{"image": "node", "path": "/dir/uploads"},
			{"image": "node", "path": "/dir", "volume": "other"},
		] {
			found := hidden_in_volume.findings with input as _input([_mount(reader), other])
			found == set()
		}
	}
}

test_passes_when_another_fetches_nothing if {
	every other in [
		_mount({"container": "look", "path": "/dir", "image": "busybox"}),
		_mount({"container": "look", "path": "/dir", "image": "busybox", "references": [_command({"verb": "ls", "position": 1})]}),
	] {
		found := hidden_in_volume.findings with input as _input([_mount({"image": "node", "path": "/dir"}), other])
		found == set()
	}
}

test_finds_weakly_when_a_developers_folder_became_a_claim if {
	mount := {"type": "persistentVolumeClaim", "target": "django-claim0", "path": "/kaleidoscope"}
	_found(mount) == {_weak("/kaleidoscope", `claim "django-claim0" stands for a developer's folder`)}
}

test_passes_when_a_claim_is_named_otherwise if {
	every target in {"django-claim", "django-data0", "pgadmin-claim0"} {
		_found({"type": "persistentVolumeClaim", "target": target, "path": "/kaleidoscope"}) == set()
	}
	_found({"type": "persistentVolumeClaim", "target": "django-claim0", "path": "/mnt/x"}) == set()
	_found({"type": "nfs", "target": "django-claim0", "path": "/kaleidoscope"}) == set()
	_found({"type": "persistentVolumeClaim", "target": "django-claim0", "path": "/uploads"}) == set()
}

test_passes_when_a_debugging_container_mounts_it if {
	_found({"role": "ephemeral", "image": "nginx", "path": "/usr/share/nginx/html"}) == set()
	_found({"role": "ephemeral", "path": "/code", "references": [_command({"path": "/code/run"})]}) == set()
	_found({"role": "ephemeral", "path": "/code", "references": [
		_command({"path": "/code/run"}),
		_command({"write": true}),
	]}) == set()
}

test_passes_when_an_init_container_only_mounts_it if {
	_found({"role": "init", "image": "nginx", "path": "/usr/share/nginx/html"}) == set()
	_found({"role": "init", "path": "/code"}) == set()
}

test_finds_when_an_init_container_runs_code_of_the_volume if {
	_found({"role": "init", "path": "/code", "references": [_command({"path": "/code/run"})]}) == {_finding(
		"/code",
		"spec.containers[0].command[0] runs /code/run",
	)}
}

test_finds_when_an_init_container_mounts_nothing_that_others_do if {
	init := _mount({"role": "init", "path": "/code", "references": [_command({"path": "/code/run"})]})
	other := _mount({"container": "db", "image": "mysql", "path": "/var/lib/mysql", "volume": "data"})
	found := hidden_in_volume.findings with input as _input([init, other])
	found == {_finding("/code", "spec.containers[0].command[0] runs /code/run")}
}

test_passes_when_an_init_container_installs_in_its_working_directory if {
	reference := _command({"kind": "workingDir", "path": "/srv/shop", "verb": "npm"})
	_found({"role": "init", "image": "node", "path": "/srv/shop", "references": [reference]}) == set()
}

test_passes_when_nothing_opaque_is_mounted if {
	hidden_in_volume.findings == set() with input as {"workload": {"mounts": {}}}
	hidden_in_volume.findings == set() with input as {"workload": {}}
}

_found(mount) := findings if findings := hidden_in_volume.findings with input as _input([_mount(mount)])

_input(mounts) := {"workload": {"mounts": {"known": mounts}}}

_finding(path, evidence) := {
	"container": "app",
	"volume": "vol",
	"field": "spec.containers[0].volumeMounts[0]",
	"value": path,
	"evidence": evidence,
}

_weak(path, evidence) := _weak_of("vol", path, evidence)

_weak_of(volume, path, evidence) := object.union(_finding(path, evidence), {"volume": volume, "weak": true})

# A mount as Go gives it: every member is present.
_mount(members) := object.union(
	{
		"words": split(replace(replace(replace(lower(trim_prefix(path, "/")), "_", "/"), "-", "/"), ".", "/"), "/"),
		"ending": _ending(path),
		"container": "app", "role": "main", "image": "shop", "path": path, "above": _above(elements), "segments": elements,
		"field": "spec.containers[0].volumeMounts[0]", "volume": "vol", "type": "persistentVolumeClaim",
		"source": "persistentVolumeClaim disk1", "target": "disk1", "subPath": "", "readOnly": false, "references": [], "declarations": [],
	},
	members,
) if {
	path := members.path
	elements := split(trim_prefix(path, "/"), "/")
}

_above(elements) := [concat("/", array.concat([""], array.slice(elements, 0, count(elements) - n))) |
	some n in numbers.range(1, count(elements) - 1)
	n > 0
	n < count(elements)
]

_ending(path) := lower(parts[count(parts) - 1]) if {
	parts := split(path, ".")
	count(parts) > 1
} else := ""

_command(members) := object.union(
	{"kind": "command", "field": "spec.containers[0].command[0]", "path": "/data/x", "verb": "x", "flag": "", "position": 0, "write": false},
	members,
)
