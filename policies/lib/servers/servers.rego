# METADATA
# title: Servers
# description: Which of the catalog's servers an image is.
package policies.lib.servers

# METADATA
# description: >-
#   The servers that the name of an image names: by the whole name (nginx), else by its words (nginx-slim, php7.3-fpm), else
#   by a long name inside (mytomcat). Where one of them mixes code and data in its folders, only those that do.
of(image) := {server} if server := data.catalog.images[image]

else := mixed if {
	mixed := {server |
		some server in _named(image)
		data.catalog.servers[server].mixed
	}
	count(mixed) > 0
}

else := _named(image) if count(_named(image)) > 0

else := _inside(image)

_named(image) := {server |
	some part in split(replace(replace(image, "_", "-"), ".", "-"), "-")
	server := data.catalog.images[trim_right(part, "0123456789")]
}

# Shorter names are parts of other words: php of "morphphase".
_inside(image) := {server |
	some name, server in data.catalog.images
	count(name) > 4
	contains(image, name)
}
