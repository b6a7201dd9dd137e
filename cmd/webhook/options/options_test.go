package options_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"plainspec.dev/plainspec/cmd/webhook/options"
)

// parse returns the options of a command line, completed.
func parse(t *testing.T, args ...string) *options.Options {
	t.Helper()
	o := options.New()
	flags := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	o.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatalf("parse %q: %v", args, err)
	}
	o.Complete()
	return o
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args    []string
		wantErr string
	}{
		"the defaults are valid":           {},
		"probes and metrics can be off":    {args: []string{"--metrics-bind-address=0", "--health-probe-bind-address="}},
		"the webhook cannot be off":        {args: []string{"--bind-address=0"}, wantErr: `--bind-address: "0" is not host:port`},
		"an address needs a port":          {args: []string{"--metrics-bind-address=localhost:"}, wantErr: `--metrics-bind-address: "localhost:" is not host:port`},
		"a certificate directory is named": {args: []string{"--certificate-dir="}, wantErr: `--certificate-dir: must not be empty`},
		"a negative drain":                 {args: []string{"--drain-period=-1s"}, wantErr: `--drain-period: -1s is negative`},
		"an overlay that is no directory":  {args: []string{"--policies=options.go"}, wantErr: `--policies: "options.go" is not a directory`},
		"everything wrong is told at once": {
			args: []string{"--max-in-flight=0", "--log-format=xml", "--log-level=trace"},
			wantErr: "--max-in-flight: 0 is less than 1\n" +
				`--log-format: "xml" is neither json nor text` + "\n" +
				`--log-level: "trace" is neither info nor debug`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			if err := parse(t, tc.args...).Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.wantErr, got); diff != "" {
				t.Errorf("Validate() mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want []string // Of each line, what follows the time.
	}{
		"JSON without debug lines by default": {
			want: []string{`"level":"INFO","msg":"hello","count":1}`},
		},
		"text with debug lines": {
			args: []string{"--log-format=text", "--log-level=debug"},
			want: []string{"level=INFO msg=hello count=1", "level=DEBUG msg=detail"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var written bytes.Buffer
			log := parse(t, tc.args...).Logger(&written)
			log.Info("hello", "count", 1)
			log.V(1).Info("detail")
			log.V(2).Info("of no use")

			var got []string
			for line := range strings.Lines(written.String()) {
				got = append(got, regexp.MustCompile(`"?level.*`).FindString(line))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("log mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
