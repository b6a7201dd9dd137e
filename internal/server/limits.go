package server

import "time"

// limits bound what a client can take from the server. They are fields, not constants, so that tests need not wait.
type limits struct {
	readHeader     time.Duration
	read           time.Duration
	write          time.Duration
	idle           time.Duration
	headerBytes    int
	reviewShutdown time.Duration
	probeShutdown  time.Duration
	waitersPerSlot int64
	largeBody      int64
	largeBodies    int64
}

func defaultLimits() limits {
	return limits{
		// Also bounds the TLS handshake. The API server sends both at once; only a slow-loris attack takes longer.
		readHeader: 5 * time.Second,
		// A request is read within the longest timeout that the API server grants; body reads end sooner, with the
		// request's own timeout (see withDeadline).
		read: maxTimeout,
		// From the end of the header to the end of the answer: nobody waits for one that is later than maxTimeout,
		// but the last one must not be cut.
		write: maxTimeout + 5*time.Second,
		// Longer than the 90 s after which the API server's client drops an idle connection
		// (net/http.DefaultTransport): were the server to close first, a review sent at that moment would fail, and POST
		// is not tried again.
		idle: 2 * time.Minute,
		// The API server sends less than 1 KiB of headers; client certificates are not part of them.
		headerBytes: 16 << 10,
		// A request that arrives at the end of the drain period may take all its time.
		reviewShutdown: maxTimeout,
		// A scrape or probe that takes longer is of no use to a process that is gone.
		probeShutdown: time.Second,
		// What waits holds a connection and a goroutine, some 50 KiB. At 1 ms per review the last of a full queue waits
		// 16 ms, so a longer queue would only hide that something is wrong.
		waitersPerSlot: 16,
		// Five times a Pod of ten containers. 32 reviews of that are 4 MiB; what is larger shares 16 MiB, twice the longest
		// review that is read, of which a review takes about three times as much memory.
		largeBody:   128 << 10,
		largeBodies: 16 << 20,
	}
}
