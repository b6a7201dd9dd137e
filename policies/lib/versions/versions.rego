# METADATA
# title: Versions
# description: Whether two versions can be one.
package policies.lib.versions

# METADATA
# description: >-
#   Whether one version says the same as another or is a part of it: v1.2.3 and 1.2.3, 1.2 and 1.2.3, 1.2.3 and
#   1.2.3-alpine, 1.2.3 and release-1.2.3.
agree(a, b) if _holds(_normal(a), _normal(b))

agree(a, b) if _holds(_normal(b), _normal(a))

# With a separator at each end, so that 1.2 is not a part of 1.20.
_normal(version) := replace(concat("", ["-", replace(replace(lower(version), "_", "-"), "+", "-"), "-"]), "-v", "-")

_holds(long, short) if contains(long, short)

_holds(long, short) if contains(long, concat("", [trim_suffix(short, "-"), "."]))
