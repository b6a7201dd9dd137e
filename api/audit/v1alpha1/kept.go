package v1alpha1

import "time"

// The bounds of what is kept as objects in the cluster. Beyond them, the Rejections go first that were not tried for longest.
const (
	// KeptPerNamespace is how many are kept of one tenant namespace: more than a person reads of one team, and one page of a
	// list.
	KeptPerNamespace = 100
	// KeptInAll is how many are kept of all, of 2 to 3 KiB each: they share etcd with the cluster, whose usual limit is 2 GiB.
	// If they are more, each namespace keeps fewer.
	KeptInAll = 10_000
	// KeptFor is how long one is kept after its last try.
	KeptFor = 30 * 24 * time.Hour
)
