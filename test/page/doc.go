// Package page opens the page of rejections in a real Chromium, at the width of a telephone and of a desk's screen, and
// looks at it: nothing is cut off, each text can be read, and nothing that a user chose becomes markup.
//
// It writes what it saw to bin/screenshots. Without a Chromium it fails in CI, and says so loudly elsewhere.
package page
