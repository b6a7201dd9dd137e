// Package report reads what was refused and what runs, and tells people: tables, JSON, YAML, CSV and a page.
package report
