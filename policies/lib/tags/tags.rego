# METADATA
# title: Tags
# description: What a tag or branch says about a version, by the parameters.
package policies.lib.tags

# METADATA
# description: Whether a tag always means the newest.
newest(tag) if data.params.newest_tags[lower(tag)]

# METADATA
# description: Whether a name is one of those that move, or starts or ends with one.
moving(tag) if data.params.moving_tags[lower(tag)]

moving(tag) if {
	some prefix in data.params.moving_prefixes
	startswith(lower(tag), prefix)
}

moving(tag) if {
	some suffix in data.params.moving_suffixes
	endswith(lower(tag), suffix)
}
