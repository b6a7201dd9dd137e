package policies.index_test

import data.policies.index

test_knows_mounts_by_path_folder_and_element if {
	_known == {"/var/www"} with data.catalog as {"paths": {"/var/www": {}}}
	_known == {"/var"} with data.catalog as {"parents": {"/var": {}}}
	_known == {"webapps/"} with data.catalog as {"directories": {"webapps": {}}}
	_known == {"/app"} with data.catalog as {"habits": {"/app": true}}
	_known == {"/entrypoint.sh"} with data.catalog as {"entrypoints": {"/entrypoint.sh": true}}
	_known == {".war"} with data.catalog as {"code_endings": {"war": true}}
}

test_knows_the_words_of_names if {
	index.names == {"src": true, "my": false} with data.catalog as {
		"code_names": {"src": true},
		"filler_names": {"my": true, "src": true},
	}
}

test_knows_mounts_by_what_works_in_the_volume if {
	_known == {"image:git"} with data.catalog as {"tools": {"git": {"fetches": true}, "busybox": {}}}
	_known == {
		"command:python", "hook:python", "workingDir:python",
		"command:git", "hook:git", "workingDir:git",
	} with data.catalog as {"commands": {"python": {}}, "fetchers": {"git": true}}
	_known == {"env:CLASSPATH"} with data.catalog as {"variables": {"CLASSPATH": "weak"}}
}

test_always_knows_programs_by_their_path_and_claims_of_kompose if {
	_always == {"-claim", "command:", "command:0", "hook:0", "workingDir:"}
}

# What the index knows besides what it always knows.
_known := {key | some key, _ in index.mounts} - _always

_always := keys if {
	keys := {key | some key, _ in index.mounts} with data.catalog as {}
}
