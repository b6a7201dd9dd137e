# METADATA
# title: Image without a version
# description: An image reference with neither tag nor digest, or with a tag that always means the newest, does not say what runs.
package policies.rules.image.no_version

# METADATA
# title: Image without a version
# description: An image reference with neither tag nor digest, or with the tag `latest`, does not say which version runs.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   message: '{{with .Container}}container "{{.}}"{{else}}volume "{{.Volume}}"{{end}} uses image "{{.Value}}", which names no version'
#   fix: name a version in the tag, or a digest
#   since: "0.1"
findings contains {"container": image.container, "field": image.field, "value": image.value, "evidence": "no tag"} if {
	some image in input.workload.images.untagged
	image.role != "ephemeral"
}
