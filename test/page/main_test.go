package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is the context of the one Chromium that the tests open tabs in; nil if there is none.
var browser context.Context

func TestMain(m *testing.M) {
	program, err := findBrowser()
	if err != nil {
		fmt.Fprintln(os.Stderr, "THE TESTS OF THE PAGE DID NOT RUN:", err)
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...) //nolint:forbidigo // there is no test yet
	started, end := chromedp.NewContext(allocator)
	code := 1
	if err := chromedp.Do(started); err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium:", err)
	} else {
		browser = started
		code = m.Run()
	}
	end()
	cancel()
	os.Exit(code)
}

// findBrowser returns the path of a Chromium by the names that systems give it.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium on this machine: install the package chromium (make browser does, as root on Debian)")
}
