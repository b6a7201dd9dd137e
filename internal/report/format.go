package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// APIVersion is the version of what reports are written as in JSON and YAML. Within it, members are added and none is
// changed or taken away.
const APIVersion = "cli.plainspec.dev/v1alpha1"

// Format is what a report is written as.
type Format string

// The formats.
const (
	FormatText  Format = "text"
	FormatTable Format = "table"
	FormatWide  Format = "wide"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
	FormatCSV   Format = "csv"
)

// ParseFormat returns the format of a name, or an error that names the allowed ones.
func ParseFormat(name string, allowed ...Format) (Format, error) {
	if slices.Contains(allowed, Format(name)) {
		return Format(name), nil
	}
	names := make([]string, len(allowed))
	for i, format := range allowed {
		names[i] = string(format)
	}
	last := len(names) - 1
	return "", fmt.Errorf("output %q is unknown: use %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeYAML(w io.Writer, value any) error {
	text, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode YAML: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// column is a column of a table; one that is wide is left out of a narrow table.
type column struct {
	name string
	wide bool
}

// writeTable writes rows as kubectl does. Cells must be visible text.
func writeTable(w io.Writer, columns []column, rows [][]any, wide bool) error {
	table := &metav1.Table{}
	for _, c := range columns {
		definition := metav1.TableColumnDefinition{Name: c.name, Type: "string"}
		if c.wide {
			definition.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, definition)
	}
	for _, cells := range rows {
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells})
	}
	// The printer does not say whether its last bytes were written, so it writes to memory.
	var b bytes.Buffer
	if err := printers.NewTablePrinter(printers.PrintOptions{Wide: wide}).PrintObj(table, &b); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeCSV writes a header and rows as RFC 4180 has it. Users choose names, and a spreadsheet takes a cell such as
// "=HYPERLINK(…)" for a formula: such cells get a leading apostrophe, which makes them text.
func writeCSV(w io.Writer, header []string, rows [][]string) error {
	writer := csv.NewWriter(w)
	writer.UseCRLF = true
	if err := writer.Write(header); err != nil {
		return err
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = asText(cell)
		}
		if err := writer.Write(cells); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

// asText guards a cell by OWASP's list of what begins a formula: full-width characters count in some locales.
func asText(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}
