package policies.lib.versions_test

import data.policies.lib.versions

test_versions_agree if {
	every pair in [
		["1.2.3", "v1.2.3"],
		["1.2", "1.2.3"],
		["1.2.3", "1.2"],
		["1.2.3-alpine", "1.2.3"],
		["release-1.2.3", "1.2.3"],
		["1.2.3+build.7", "1.2.3_build.7"],
		["0a1b2c3", "0A1B2C3"],
	] {
		versions.agree(pair[0], pair[1])
	}
}

test_versions_differ if {
	every pair in [["1.2", "1.20"], ["1.2.3", "2.3"], ["1.2.3", "1.2.4"], ["11.2", "1.2"]] {
		not versions.agree(pair[0], pair[1])
	}
}
