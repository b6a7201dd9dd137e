package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestExplainStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	started := errors.New("timeout")
	for name, tc := range map[string]struct {
		log  string
		want string
	}{
		"a full disk is named": {
			log:  `{"level":"fatal","error":"write x: no space left on device"}`,
			want: "the disk of " + dir + " is full; free some space",
		},
		"a port that somebody took is worth another attempt": {
			log:  "listen tcp 127.0.0.1:1: bind: address already in use\n",
			want: errPortTaken.Error(),
		},
		"the fatal line is found before the stack": {
			log:  "I ok\npanic: broken\n\tmain.go:31\n",
			want: "timeout: etcd: panic: broken (all of it is in LOGS/etcd.log)",
		},
		"without a fatal line the logs are named": {
			log:  "I ok\n",
			want: "timeout; logs are in LOGS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &Cluster{dir: dir, options: Options{LogDir: t.TempDir()}}
			if err := os.WriteFile(c.logPath("etcd"), []byte(tc.log), 0o600); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(tc.want, "LOGS", c.options.LogDir)
			if got := c.explainStart(started).Error(); got != want {
				t.Errorf("error is %q, want %q", got, want)
			}
		})
	}
}
