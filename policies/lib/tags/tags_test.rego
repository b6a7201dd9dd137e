package policies.lib.tags_test

import data.policies.lib.tags

test_a_tag_means_the_newest if {
	tags.newest("latest")
	tags.newest("LATEST")
	not tags.newest("latest-1")
	not tags.newest("1.2")
}

test_a_tag_moves if {
	every tag in {"main", "Stable", "latest-3.19", "2.0-SNAPSHOT", "v1-latest"} {
		tags.moving(tag)
	}
	every tag in {"1.2.3", "maintenance-1", ""} {
		not tags.moving(tag)
	}
}

test_nothing_is_known_without_parameters if {
	not tags.newest("latest") with data.params as {}
	not tags.moving("main") with data.params as {}
}
