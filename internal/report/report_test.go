package report

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// now is the time of every report in tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture returns the records of testdata/rejections.yaml.
func fixture(t *testing.T) *auditv1alpha1.RejectionList {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rejections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list auditv1alpha1.RejectionList
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatal(err)
	}
	return &list
}

// recorded returns a source that holds the records of the fixture.
func recorded(t *testing.T) Source {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := auditv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return Source{Client: fake.NewClientBuilder().WithScheme(scheme).WithLists(fixture(t)).Build(), Namespace: "plainspec-system"}
}

// golden compares with a section of an archive in testdata, or writes it there.
func golden(t *testing.T, file, section, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range archive.Files {
		if archive.Files[i].Name != section {
			continue
		}
		if os.Getenv("UPDATE_GOLDEN") != "" {
			archive.Files[i].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
			t.Errorf("%s of %s (-want +got; UPDATE_GOLDEN=1 rewrites it):\n%s", section, path, diff)
		}
		return
	}
	t.Fatalf("%s has no section %q", path, section)
}

// TestFormats holds what people and programs get. It is not parallel, since it may rewrite its file.
func TestFormats(t *testing.T) { //nolint:paralleltest // UPDATE_GOLDEN writes section by section
	source := recorded(t)
	records, err := source.Read(t.Context(), "")
	if err != nil || len(records) != 4 {
		t.Fatalf("%d records: %v", len(records), err)
	}
	everything := NewRejections(records, Filter{}, now)
	denied := NewRejections(records[:1], Filter{Outcome: auditv1alpha1.OutcomeDenied}, now)
	dossier := NewDossier(&records[0])
	hostile := NewDossier(&records[3])
	for section, write := range map[string]func(io.Writer) error{
		"all.table":    func(w io.Writer) error { return everything.Write(w, FormatTable) },
		"all.csv":      func(w io.Writer) error { return everything.Write(w, FormatCSV) },
		"denied.table": func(w io.Writer) error { return denied.Write(w, FormatTable) },
		"denied.wide":  func(w io.Writer) error { return denied.Write(w, FormatWide) },
		"denied.json":  func(w io.Writer) error { return denied.Write(w, FormatJSON) },
		"denied.yaml":  func(w io.Writer) error { return denied.Write(w, FormatYAML) },
		"show.text":    func(w io.Writer) error { return dossier.Write(w, FormatText, now) },
		"show.table":   func(w io.Writer) error { return dossier.Write(w, FormatTable, now) },
		"show.yaml":    func(w io.Writer) error { return NewDossier(&records[1]).Write(w, FormatYAML, now) },
		"show.json":    func(w io.Writer) error { return NewDossier(&records[1]).Write(w, FormatJSON, now) },
		"show.csv":     func(w io.Writer) error { return dossier.Write(w, FormatCSV, now) },
		"hostile.text": func(w io.Writer) error { return hostile.Write(w, FormatText, now) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", section, err)
		}
		got := b.String()
		if strings.HasSuffix(section, ".csv") {
			if strings.Count(got, "\r\n") != strings.Count(got, "\n") {
				t.Errorf("%s: a line does not end as in RFC 4180:\n%q", section, got)
			}
			got = strings.ReplaceAll(got, "\r\n", "\n")
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && (r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u202e') }); i >= 0 {
			t.Errorf("%s commands the terminal: %q", section, got[i:])
		}
		golden(t, "formats.txtar", section, got)
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	none := NewRejections(nil, Filter{Namespace: "shop"}, now)
	for format, want := range map[Format]string{
		FormatTable: "",
		FormatCSV: "id,outcome,operation,namespace,group,kind,name,rules,user,count,first_time,last_time,policy_revision,findings_omitted," +
			"code,severity,container,volume,field,value,evidence,message,fix\r\n",
		FormatJSON: `{
  "apiVersion": "cli.plainspec.dev/v1alpha1",
  "kind": "RejectionReport",
  "generatedAt": "2026-03-01T12:00:00Z",
  "filter": {
    "namespace": "shop"
  },
  "summary": {
    "rejections": 0,
    "tries": 0,
    "namespaces": 0,
    "rules": 0,
    "users": 0,
    "denied": 0,
    "observed": 0,
    "bypassed": 0
  },
  "rejections": []
}
`,
	} {
		var b bytes.Buffer
		if err := none.Write(&b, format); err != nil || b.String() != want {
			t.Errorf("%s: %v\n%s", format, err, cmp.Diff(want, b.String()))
		}
	}
	since := now.AddDate(0, 0, -1)
	for name, tc := range map[string]struct {
		filter Filter
		all    int
		want   string
	}{
		"nothing is recorded":             {Filter{}, 0, `no rejections match: none is recorded in namespace "plainspec-system", where one is seconds after its refusal; is Plainspec installed there? see --plainspec-namespace`},
		"nothing is of the namespace":     {Filter{Namespace: "shop"}, 0, `no rejections match (namespace shop): none is recorded of namespace "shop"`},
		"others are there":                {Filter{Outcome: "Denied", Rules: []string{"a.b", "c.d"}, User: "jane\x1b", Since: &since}, 3, `no rejections match (outcome denied, rules a.b or c.d, user jane\x1b, since 2026-02-28 12:00 UTC): 3 others are recorded; see --rule, --user, --since, --outcome`},
		"others are there of one rule":    {Filter{Rules: []string{"a.b"}}, 1, `no rejections match (rule a.b): 1 other is recorded; see --rule`},
		"others are there of a namespace": {Filter{Namespace: "shop", User: "joe"}, 2, `no rejections match (namespace shop, user joe): 2 others are recorded; see --user`},
	} {
		if got := (Source{Namespace: "plainspec-system"}).Nothing(tc.filter, tc.all); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	source := recorded(t)
	at := func(text string) *time.Time {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return &since
	}
	for name, tc := range map[string]struct {
		filter Filter
		want   []string
	}{
		"everything, the latest first":    {Filter{}, []string{"mfzwizltoq", "brokenglas", "nightlyjob", "hostiletxt"}},
		"a namespace":                     {Filter{Namespace: "shop"}, []string{"mfzwizltoq", "brokenglas"}},
		"a rule among others":             {Filter{Rules: []string{"version.hidden_in_volume"}}, []string{"mfzwizltoq"}},
		"two rules":                       {Filter{Rules: []string{"version.hidden_in_volume", "inject.lost"}}, []string{"mfzwizltoq", "brokenglas"}},
		"a rule's category is no rule":    {Filter{Rules: []string{"image"}}, nil},
		"a user":                          {Filter{User: "jane"}, []string{"mfzwizltoq"}},
		"a part of a user's name is none": {Filter{User: "jan"}, nil},
		"an outcome":                      {Filter{Outcome: auditv1alpha1.OutcomeObserved}, []string{"nightlyjob"}},
		"tried at that second":            {Filter{Since: at("2026-02-28T03:12:00Z")}, []string{"mfzwizltoq", "brokenglas"}},
		"tried after that":                {Filter{Since: at("2026-02-28T03:12:01Z")}, []string{"mfzwizltoq"}},
		"all at once":                     {Filter{Namespace: "shop", User: "on-call", Rules: []string{"inject.lost"}, Outcome: auditv1alpha1.OutcomeBypassed, Since: at("2026-02-01T00:00:00Z")}, []string{"brokenglas"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records, err := source.Read(t.Context(), tc.filter.Namespace)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range NewRejections(records, tc.filter, now).Rejections {
				got = append(got, r.ID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReportTakesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	records, err := recorded(t).Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRejections(records, Filter{Namespace: "shop", Outcome: auditv1alpha1.OutcomeDenied}, now)
	if len(r.Rejections) != 1 || r.Rejections[0].ID != "mfzwizltoq" {
		t.Errorf("the report is about %d rejections, want mfzwizltoq alone", len(r.Rejections))
	}
	want := Summary{Rejections: 1, Tries: 4, Namespaces: 1, Rules: 2, Users: 1, Denied: 1}
	if diff := cmp.Diff(want, r.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	want = Summary{Rejections: 4, Tries: 1207, Namespaces: 3, Rules: 3, Users: 4, Denied: 2, Observed: 1, Bypassed: 1}
	if diff := cmp.Diff(want, NewRejections(records, Filter{}, now).Summary); diff != "" {
		t.Errorf("summary of all (-want +got):\n%s", diff)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	source := recorded(t)
	empty := Source{Client: source.Client, Namespace: "elsewhere"}
	for name, tc := range map[string]struct {
		source   Source
		id, want string
		wantErr  string
	}{
		"an id":                           {source, "mfzwizltoq", "mfzwizltoq", ""},
		"an id as a terminal's selection": {source, " MFZWIZLTOQ\n", "mfzwizltoq", ""},
		"the beginning of an id":          {source, "mfz", "mfzwizltoq", ""},
		"an id that is not there": {source, "mfzx", "",
			`no rejection "mfzx" among 4 in namespace "plainspec-system": it is recorded seconds after the refusal, a dry run never, and the oldest of a full namespace make room for new ones`},
		"no records": {empty, "mfzwizltoq", "",
			`no rejection "mfzwizltoq": none is recorded in namespace "elsewhere" (is Plainspec installed there? see --plainspec-namespace)`},
		"a beginning of several": {source, "", "", `4 rejections begin with "", such as mfzwizltoq, brokenglas, nightlyjob, hostiletxt: name one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, err := tc.source.Get(t.Context(), tc.id)
			switch {
			case tc.wantErr != "":
				if err == nil || err.Error() != tc.wantErr {
					t.Errorf("got error %v, want %s", err, tc.wantErr)
				}
			case err != nil:
				t.Error(err)
			case record.Name != tc.want:
				t.Errorf("got %s, want %s", record.Name, tc.want)
			}
		})
	}
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"90m":                       "2026-03-01T10:30:00Z",
		"24h":                       "2026-02-28T12:00:00Z",
		"7d":                        "2026-02-22T12:00:00Z",
		"2w":                        "2026-02-15T12:00:00Z",
		"0d":                        "2026-03-01T12:00:00Z",
		"2026-02-27":                "2026-02-27T00:00:00Z",
		"2026-02-27T10:00:00+01:00": "2026-02-27T09:00:00Z",
		"2026-03-02":                `since "2026-03-02" lies in the future: it is 2026-03-01 12:00 UTC now`,
		"-1h":                       `since "-1h" lies in the future: it is 2026-03-01 12:00 UTC now`,
		"yesterday":                 `since "yesterday" is no time: use a duration such as 90m, 24h or 7d, a date such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z`,
		"1.5d":                      `since "1.5d" is no time: use a duration such as 90m, 24h or 7d, a date such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z`,
		"99999999999d":              `since "99999999999d" is no time: use a duration such as 90m, 24h or 7d, a date such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z`,
		"":                          `since "" is no time: use a duration such as 90m, 24h or 7d, a date such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z`,
	} {
		since, err := ParseSince(text, now)
		got := since.Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestParseOutcome(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]auditv1alpha1.Outcome{
		"denied": auditv1alpha1.OutcomeDenied, "Denied": auditv1alpha1.OutcomeDenied, "OBSERVED": auditv1alpha1.OutcomeObserved,
		"Bypassed": auditv1alpha1.OutcomeBypassed, "all": "", "All": "",
	} {
		if got, err := ParseOutcome(word); err != nil || got != want {
			t.Errorf("%q: got %q, error %v, want %q", word, got, err, want)
		}
	}
	want := `outcome "refused" is unknown: use denied, observed (admitted, and refused under enforcement: enforce), bypassed (by a break-glass group) or all`
	if _, err := ParseOutcome("refused"); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestRejectionWithoutFindingsIsARow(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	one := Rejection{ID: "mfzwizltoq", Outcome: auditv1alpha1.OutcomeDenied, User: "jane", FirstTime: now, LastTime: now, Count: 1}
	if err := (&Dossier{Rejection: one}).Write(&b, FormatCSV, now); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(b.String(), "\r\n")
	if want := "mfzwizltoq,denied,,,,,,,jane,1,2026-03-01T12:00:00Z,2026-03-01T12:00:00Z,,0,,,,,,,,,\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFormulasBecomeText(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\t=1": "'\t=1", "\r=1": "'\r=1", "＝1": "'＝1", "": "", "a=1": "a=1", "jane": "jane",
	} {
		if got := asText(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

// broken is a pipe whose reader is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestLostOutputIsAnError(t *testing.T) {
	t.Parallel()
	records, err := recorded(t).Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	rejections := NewRejections(records, Filter{}, now)
	for _, format := range []Format{FormatTable, FormatWide, FormatJSON, FormatYAML, FormatCSV} {
		if err := rejections.Write(broken{}, format); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: got %v, want %v", format, err, io.ErrClosedPipe)
		}
		if err := NewDossier(&records[0]).Write(broken{}, FormatText, now); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("text: got %v, want %v", err, io.ErrClosedPipe)
		}
	}
	if err := rejections.WritePage(broken{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("page: got %v, want %v", err, io.ErrClosedPipe)
	}
}
