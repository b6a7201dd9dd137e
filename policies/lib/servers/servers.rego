# METADATA
# title: Servers
# description: Which of the catalog's servers an image is.
package policies.lib.servers

# METADATA
# description: >-
#   The servers that the name of an image names, by the whole name or else by its words: nginx-slim is nginx, php7.3-fpm is
#   php. Where one of them mixes code and data in its folders, only those that do.
of(image) := {server} if server := data.catalog.images[image]

else := mixed if {
	mixed := {server |
		some server in _named(image)
		data.catalog.servers[server].mixed
	}
	count(mixed) > 0
}

else := _named(image)

_named(image) := {server |
	some part in split(replace(replace(image, "_", "-"), ".", "-"), "-")
	server := data.catalog.images[trim_right(part, "0123456789")]
}
