# METADATA
# title: Moving tag
# description: Finds image tags that mean another version from time to time.
package policies.rules.image.moving_tag

import data.policies.lib.tags

# METADATA
# title: An image's tag moves
# description: >-
#   A tag such as `stable`, `main` or `alpine` has no number: it means another version from time to time. Which tags move
#   besides those without a digit is a parameter. A digest beside the tag makes it exact.
# scope: document
# custom:
#   severity: medium
#   mode: warn
#   message: >-
#     {{with .Container}}container "{{.}}"{{else}}volume "{{.Volume}}"{{end}} uses image {{.Value}}, whose tag moves from
#     version to version
#   fix: name an exact version in the tag, as in nginx:1.27.3-alpine, or add a digest
#   since: "0.1.0"
findings contains {"container": image.container, "volume": image.volume, "field": image.field, "value": image.value, "evidence": sprintf("the tag %s names no fixed version", [image.tag])} if {
	some image in input.workload.images.tagged
	_moves(image.tag, image.precision)
	image.role != "ephemeral"
	not tags.newest(image.tag)
	not data.params.placeholder_images[image.value]
}

_moves(_, "moving")

_moves(tag, _) if tags.moving(tag)
