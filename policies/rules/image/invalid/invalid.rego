# METADATA
# title: Invalid image reference
# description: Finds values of image fields that no container runtime can pull.
package policies.rules.image.invalid

# METADATA
# title: A value is not an image reference
# description: >-
#   The value of an image field cannot be parsed as a reference, so no node can pull it: often a placeholder that nobody
#   replaced, a space, or an upper-case letter in the repository.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   message: >-
#     {{with .Container}}container "{{.}}"{{else}}volume "{{.Volume}}"{{end}} uses image "{{.Value}}", which is not an image
#     reference
#   fix: write the reference as registry/repository:tag, in lower case up to the tag, without spaces or placeholders
#   since: "0.1.0"
findings contains {"container": image.container, "volume": image.volume, "field": image.field, "value": image.value, "evidence": image.error} if {
	some image in input.workload.images.invalid
	image.role != "ephemeral"
	not data.params.placeholder_images[image.value]
}
