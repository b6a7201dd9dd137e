package workload

import (
	"net/url"
	"testing"
)

func TestTagPrecision(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"latest": PrecisionMoving, "stable": PrecisionMoving, "main": PrecisionMoving, "alpine": PrecisionMoving,
		"7": PrecisionFloating, "v2": PrecisionFloating, "8.0": PrecisionFloating, "7.4-fpm_alpine": PrecisionFloating, "3-alpine3.20": PrecisionFloating,
		"java17": PrecisionFloating,
		"1.27.3": PrecisionExact, "v1.2.3-rc.1": PrecisionExact, "7.0.42-v2": PrecisionExact, "2024-01-31": PrecisionExact, "20240131": PrecisionExact,
		"9e28a9f": PrecisionExact, "1.2.3.4": PrecisionExact, "1_2_3": PrecisionExact,
		"deadbeef": PrecisionMoving, // a word of hexadecimal letters is no commit
	} {
		if got := tagPrecision(tag); got != want {
			t.Errorf("tagPrecision(%q) = %q, want %q", tag, got, want)
		}
	}
}

func TestVersionInName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"apache-tomcat-7.0.42-v2": {"apache-tomcat", "7.0.42-v2"},
		"app-1.2.war":             {"app", "1.2"},
		"app_v3.tar.gz":           {"app", "v3"},
		"v2":                      {"", "v2"},
		"7.0.42":                  {"", "7.0.42"},
		"sample.war":              {"sample", ""},
		"html":                    {"html", ""},
		"tomcat8":                 {"tomcat8", ""},
		"2024-01-31":              {"", "2024-01-31"},
		"9e28a9f.zip":             {"", "9e28a9f"},
		"":                        {"", ""},
	} {
		stem, version := versionInName(name)
		if got := [2]string{stem, version}; got != want {
			t.Errorf("versionInName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestVersionInURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://github.com/geektime/sample/releases/download/v2/sample.war":     "v2",
		"https://github.com/geektime/sample/releases/download/latest/sample.war": "",
		"https://repo.example.com/app/1.4.2/app-1.4.2.war":                       "1.4.2",
		"https://example.com/app.zip?ref=v1.2":                                   "v1.2",
		"https://example.com/":                                                   "",
		"https://example.com":                                                    "",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := versionInURL(u); got != want {
			t.Errorf("versionInURL(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestVersionInPath(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ path, program, want string }{
		"a folder that names the program":         {"/root/apache-tomcat-7.0.42-v2/webapps", "tomcat", "7.0.42-v2"},
		"a folder that names another program":     {"/root/apache-tomcat-7.0.42/webapps", "nginx", ""},
		"a version without the program's name":    {"/opt/7.0.42/webapps", "tomcat", ""},
		"no program":                              {"/root/apache-tomcat-7.0.42/webapps", "", ""},
		"the deepest folder that names it counts": {"/opt/tomcat-8.5/tomcat-8.5.3/bin", "tomcat", "8.5.3"},
		"the root":                  {"/", "tomcat", ""},
		"a relative path ends, too": {"tomcat-8.5.3", "tomcat", "8.5.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := versionInPath(tc.path, tc.program); got != tc.want {
				t.Errorf("versionInPath(%q, %q) = %q, want %q", tc.path, tc.program, got, tc.want)
			}
		})
	}
}
