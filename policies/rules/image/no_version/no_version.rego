# METADATA
# title: Image without a version
# description: Finds image references that do not say which version runs.
package policies.rules.image.no_version

import data.policies.lib.tags

# METADATA
# title: An image reference names no version
# description: >-
#   An image reference with neither tag nor digest, or with the tag `latest`, does not say which version runs: another
#   node, or the same node tomorrow, may run something else.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   message: >-
#     {{with .Container}}container "{{.}}"{{else}}volume "{{.Volume}}"{{end}} uses image {{.Value}}, which does not say which
#     version runs
#   fix: name a version in the tag, as in nginx:1.27.3, or a digest
#   since: "0.1.0"
findings contains {"container": image.container, "volume": image.volume, "field": image.field, "value": image.value, "evidence": "it has neither tag nor digest"} if {
	some image in input.workload.images.untagged
	image.role != "ephemeral"
	not data.params.placeholder_images[image.value]
}

findings contains {"container": image.container, "volume": image.volume, "field": image.field, "value": image.value, "evidence": sprintf("the tag %s always means the newest", [image.tag])} if {
	some image in input.workload.images.tagged
	tags.newest(image.tag)
	image.role != "ephemeral"
	not data.params.placeholder_images[image.value]
}
