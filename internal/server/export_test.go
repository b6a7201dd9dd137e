package server

import "time"

// ClientTimeout and Margin let tests compare exact values.
var (
	ClientTimeout = clientTimeout
	Margin        = margin
)

// LimitLarge makes large what is longer than a body, and lets so many bytes of that through at once.
func (s *Server) LimitLarge(body, bodies int64) {
	s.limits.largeBody, s.limits.largeBodies = body, bodies
}

// Shorten changes limits before Run, so that tests need not wait for those of production. Zero keeps a limit.
func (s *Server) Shorten(readHeader, reviewShutdown time.Duration, waitersPerSlot int64) {
	if readHeader > 0 {
		s.limits.readHeader = readHeader
	}
	if reviewShutdown > 0 {
		s.limits.reviewShutdown = reviewShutdown
	}
	if waitersPerSlot > 0 {
		s.limits.waitersPerSlot = waitersPerSlot
	}
}
