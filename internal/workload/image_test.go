package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseImage(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for value, want := range map[string]ImageName{
		"nginx":                           {Registry: "docker.io", Repository: "library/nginx", Name: "nginx"},
		"nginx:1.27.3":                    {Registry: "docker.io", Repository: "library/nginx", Name: "nginx", Tag: "1.27.3", Words: []string{"1.27.3"}, Precision: PrecisionExact},
		"geektime/tomcat:7.0":             {Registry: "docker.io", Repository: "geektime/tomcat", Name: "tomcat", Tag: "7.0", Words: []string{"7.0"}, Precision: PrecisionFloating},
		"app:1.2.3-RC_1":                  {Registry: "docker.io", Repository: "library/app", Name: "app", Tag: "1.2.3-RC_1", Words: []string{"1.2.3", "rc", "1"}, Precision: PrecisionExact},
		"localhost:5000/app":              {Registry: "localhost:5000", Repository: "app", Name: "app"},
		"registry.example.com:5000/a/b:1": {Registry: "registry.example.com:5000", Repository: "a/b", Name: "b", Tag: "1", Words: []string{"1"}, Precision: PrecisionFloating},
		"nginx@" + digest:                 {Registry: "docker.io", Repository: "library/nginx", Name: "nginx", Digest: digest, Precision: PrecisionDigest},
		"nginx:latest@" + digest:          {Registry: "docker.io", Repository: "library/nginx", Name: "nginx", Tag: "latest", Words: []string{"latest"}, Digest: digest, Precision: PrecisionDigest},
	} {
		if diff := cmp.Diff(want, parseImage(value)); diff != "" {
			t.Errorf("parseImage(%q) (-want +got):\n%s", value, diff)
		}
	}
	for _, value := range []string{"", "just a image url", "NGINX", "nginx:", "$IMAGE", "nginx@sha256:short", strings.Repeat("a", 64), "a:b:c"} {
		if got := parseImage(value); got.Error == "" || got.Name != "" {
			t.Errorf("parseImage(%q) = %+v, want an error alone", value, got)
		}
	}
}

func TestImagesAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	p := newImageParser()
	if diff := cmp.Diff(p.parse("nginx:1.2.3"), p.parse("nginx:1.2.3")); diff != "" {
		t.Errorf("the second answer differs:\n%s", diff)
	}
	p.parse("nginx:" + strings.Repeat("x", longestImage))
	if got := p.seen.Len(); got != 1 {
		t.Errorf("%d references remembered, want 1: the overlong one must not be", got)
	}
}

func TestALongValueIsNoReference(t *testing.T) {
	t.Parallel()
	long := "a:" + strings.Repeat("1", 3<<20)
	if got := newImageParser().parse(long); got.Error != "it is longer than any image reference" {
		t.Errorf("error is %q", got.Error)
	}
	digest := "registry.example.com/a:1.2.3@sha512:" + strings.Repeat("0a", 64)
	if got := newImageParser().parse(digest); got.Error != "" || got.Precision != PrecisionDigest {
		t.Errorf("%s gives %+v", digest, got)
	}
}
