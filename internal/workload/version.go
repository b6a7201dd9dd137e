package workload

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Precisions of a version.
const (
	PrecisionDigest   = "digest"   // a content hash
	PrecisionExact    = "exact"    // three numbers or more, a date, a commit
	PrecisionFloating = "floating" // one or two numbers: 7, v2, 8.0
	PrecisionMoving   = "moving"   // no number at all: latest, stable, main
)

var (
	// versionStart finds where a version starts in a name: apache-tomcat-7.0.42-v2, app_v2.
	versionStart = regexp.MustCompile(`(?:^|[-_.@])([vV]?\d+(?:[._]\d+)+(?:[-+._]?[0-9A-Za-z]+)*|[vV]\d+(?:[-+._][0-9A-Za-z]+)*)$`)
	// numbers finds the leading numbers of a version.
	numbers = regexp.MustCompile(`^[vV]?(\d+(?:[._]\d+)*)`)
	// commit is a git commit or another hash written out.
	commit = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
	// date is a day, or a serial number as long as one.
	date = regexp.MustCompile(`^\d{4}-?\d{2}-?\d{2}|^\d{6,}$`)
)

// longestName is Linux' NAME_MAX: a longer name names no file, and is not worth the search.
const longestName = 255

// extensions are the endings that follow a version in a file's name.
var extensions = []string{
	".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tgz", ".tar", ".zip", ".gz", ".war", ".jar", ".ear", ".whl", ".phar", ".git", ".7z", ".deb", ".rpm", ".apk",
}

// tagPrecision says how much of a version a tag is.
func tagPrecision(tag string) string {
	switch {
	case !strings.ContainsAny(tag, "0123456789"):
		return PrecisionMoving
	case commit.MatchString(tag) && hasDigitAndLetter(tag), date.MatchString(tag):
		return PrecisionExact
	}
	m := numbers.FindStringSubmatch(tag)
	if m == nil || strings.Count(strings.ReplaceAll(m[1], "_", "."), ".") < 2 {
		return PrecisionFloating
	}
	return PrecisionExact
}

func hasDigitAndLetter(s string) bool {
	return strings.ContainsAny(s, "0123456789") && strings.ContainsAny(s, "abcdef")
}

// versionInName reads the version that a file's or folder's name ends with: "7.0.42-v2" in
// "apache-tomcat-7.0.42-v2", "1.2" in "app-1.2.war". It returns the name without it, too.
func versionInName(name string) (stem, version string) {
	for _, ext := range extensions {
		if stem, ok := strings.CutSuffix(name, ext); ok {
			name = stem
			break
		}
	}
	if len(name) > longestName {
		return name, ""
	}
	if isHash(name) || date.MatchString(name) {
		return "", name
	}
	// The first match that reaches the end of the name is the longest version.
	m := versionStart.FindStringSubmatchIndex(name)
	if m == nil {
		return name, ""
	}
	return strings.TrimRight(name[:m[2]], "-_.@"), name[m[2]:m[3]]
}

func isHash(s string) bool { return commit.MatchString(s) && hasDigitAndLetter(s) }

// versionInURL reads the version that a URL's path or ref parameter names, the last element
// that has one; empty if none has.
func versionInURL(u *url.URL) string {
	for _, key := range []string{"ref", "version", "tag"} {
		if value := u.Query().Get(key); value != "" {
			return value
		}
	}
	elements := strings.Split(strings.Trim(u.Path, "/"), "/")
	for _, element := range slices.Backward(elements) {
		if _, version := versionInName(element); version != "" {
			return version
		}
	}
	return ""
}

// versionInPath reads the version of a program from a path element that names it:
// "7.0.42-v2" of tomcat in "/root/apache-tomcat-7.0.42-v2/webapps".
func versionInPath(p, program string) string {
	if program == "" {
		return ""
	}
	for p != "/" && p != "." && p != "" {
		stem, version := versionInName(path.Base(p))
		if version != "" && strings.Contains(strings.ToLower(stem), strings.ToLower(program)) {
			return version
		}
		if !path.IsAbs(p) {
			return ""
		}
		p = parent(p)
	}
	return ""
}
