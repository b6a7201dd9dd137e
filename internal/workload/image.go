package workload

import (
	_ "crypto/sha512" // the digests sha384 and sha512 are known only to programs that link it
	"strings"

	"github.com/distribution/reference"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// rememberedImages bounds the cache of parsed references: a large cluster runs a few
	// thousand different images, and an entry takes about 300 bytes.
	rememberedImages = 4096
	// longestImage is the longest reference that is remembered, in bytes: 255 for the name
	// (reference.RepositoryNameTotalLengthMax), 128 for the tag, 71 for a sha256 digest and
	// their separators. Longer values are users' mistakes, and must not fill the cache.
	longestImage = 512
	// longestParsed is the longest value that can be a reference, in bytes, and more: with a digest
	// of sha512 it has 521. Reading a longer one takes 0.3 s per megabyte.
	longestParsed = 1024
)

// imageParser parses image references and remembers the answers. It is safe for concurrent use.
type imageParser struct {
	seen *lru.Cache[string, ImageName]
}

func newImageParser() *imageParser {
	seen, err := lru.New[string, ImageName](rememberedImages)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &imageParser{seen: seen}
}

func (p *imageParser) parse(value string) ImageName {
	if len(value) > longestImage {
		return parseImage(value)
	}
	if name, ok := p.seen.Get(value); ok {
		return name
	}
	name := parseImage(value)
	p.seen.Add(strings.Clone(value), name)
	return name
}

// parseImage parses a reference as registries' clients do: "nginx" is docker.io/library/nginx.
func parseImage(value string) ImageName {
	if len(value) > longestParsed {
		return ImageName{Error: "it is longer than any image reference"}
	}
	named, err := reference.ParseNormalizedNamed(value)
	if err != nil {
		return ImageName{Error: err.Error()}
	}
	name := ImageName{Registry: reference.Domain(named), Repository: reference.Path(named)}
	name.Name = name.Repository[strings.LastIndexByte(name.Repository, '/')+1:]
	if tagged, ok := named.(reference.Tagged); ok {
		name.Tag = tagged.Tag()
		name.Precision = tagPrecision(name.Tag)
		name.Words = words(name.Tag, isTagSeparator)
	}
	if digested, ok := named.(reference.Digested); ok {
		name.Digest = digested.Digest().String()
		name.Precision = PrecisionDigest
	}
	return name
}

// version is what the reference says about its version, the digest only if there is no tag.
func (n ImageName) version() string {
	if n.Tag != "" {
		return n.Tag
	}
	return n.Digest
}
