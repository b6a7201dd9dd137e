package redact

import (
	"strings"
	"testing"
)

// BenchmarkText says what each sort of text costs per byte: what is dear is made of the marks that
// are looked for, again and again, and none of it may cost more per byte the longer it is.
func BenchmarkText(b *testing.B) {
	for name, part := range map[string]string{
		"prose":            "container c runs /data/app.jar from volume data ",
		"assignments":      "a=",
		"names":            strings.Repeat("secretkeytokenpass", 7)[:126] + "x:",
		"paths":            "x/apassword:",
		"URLs":             "://a",
		"userinfo":         "://a:b@ ",
		"bare userinfo":    "a:b@",
		"no userinfo":      "a:a:a",
		"ports":            "a.b:80/",
		"options":          "-a ",
		"tokens":           "eyJabcdefgh ",
		"keys":             "-----BEGIN PRIVATE ",
		"credentials":      "basic ",
		"lines":            "\npassword: |",
		"members":          "name=password,value=x,",
		"calls":            "('password',",
		"everything":       "-secreta=x://a:b@ eyJ bearer -----BEGIN @ ",
		"words in a value": ";a=b;password=a b",
	} {
		text := strings.Repeat(part, longestRead/len(part))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Text(text)
			}
		})
		b.Run(name+" in a command", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				NewCommand("").Word(text + " " + text[:1])
			}
		})
	}
}
