# METADATA
# title: Contradicting version label
# description: Compares the version label with what the images say.
package policies.rules.label.version_mismatch

import data.policies.lib.versions

# METADATA
# title: A version label contradicts the application
# description: >-
#   The label app.kubernetes.io/version names a version that no application of the workload has, by its images, volumes
#   and paths. Dashboards and audits that trust the label report what does not run. Nothing is said where an application's
#   version cannot be told, as behind a digest or a moving tag.
# scope: document
# custom:
#   severity: medium
#   mode: warn
#   message: >-
#     the label app.kubernetes.io/version says "{{.Value}}", but the manifest runs {{.Evidence}}
#   fix: set the label to the version of the application, or remove the label and let the image's tag say it
#   since: "0.1.0"
findings contains {"field": label.field, "value": label.value, "evidence": concat(", ", _told)} if {
	some label in input.workload.labels
	regex.match(`\d`, label.value)
	count(_told) > 0
	count(_untold) == 0
	not _confirmed(label.value)
}

# The applications by what they are called, with the versions that the manifest tells.
_told contains sprintf("%s %s", [component.name, component.refined]) if {
	some component in _applications
	component.refined != ""
}

_told contains sprintf("%s %s", [component.name, component.version]) if {
	some component in _applications
	component.refined == ""
}

# The applications whose version the manifest does not tell.
_untold contains component.name if {
	some component in _applications
	not component.precision in {"exact", "floating"}
	component.refined == ""
}

_applications contains component if {
	some component in input.workload.applications
	not data.catalog.tools[component.name]
}

_confirmed(version) if {
	some component in _applications
	versions.agree(version, component.version)
}

_confirmed(version) if {
	some component in _applications
	versions.agree(version, component.refined)
}
