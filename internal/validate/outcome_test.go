package validate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/policies"
)

func breakingGlass(req Request) Request {
	req.BreakGlass = true
	return req
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	const (
		weak  = `{"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"c","image":"a"}],"containers":[{"name":"d","image":"a:1"}]}}`
		asBad = `{"metadata":{"name":"p"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"a"}]}}`
	)
	child := Request{Operation: Create, Kind: "Pod", User: controller, Object: []byte(ownedPod)}
	for name, tc := range map[string]struct {
		enforcement Enforcement
		request     Request
		want        string // outcome, number of refusing judgements, and the decision
	}{
		"a denial":                               {Enforce, create(podJSON("a")), "Denied 1, denied, deny c"},
		"nothing is found":                       {Enforce, create(podJSON("a:1")), " 0, admitted"},
		"what only warns":                        {Enforce, create([]byte(weak)), " 0, admitted, warn c"},
		"what a controller made":                 {Enforce, child, " 0, admitted child, audit c"},
		"what was as bad before":                 {Enforce, update(podJSON("a"), []byte(asBad)), " 0, admitted, warn c as before"},
		"observed":                               {Observe, create(podJSON("a")), "Observed 1, admitted, audit c"},
		"observed, what only warns":              {Observe, create([]byte(weak)), " 0, admitted, audit c"},
		"observed, what a controller made":       {Observe, child, " 0, admitted child, audit c"},
		"observed, what was as bad before":       {Observe, update(podJSON("a"), []byte(asBad)), " 0, admitted, audit c as before"},
		"observed, what got worse":               {Observe, update(podJSON("a"), podJSON("b")), "Observed 1, admitted, audit c"},
		"warned about":                           {Warn, create(podJSON("a")), "Observed 1, admitted, warn c"},
		"warned about, what was as bad before":   {Warn, update(podJSON("a"), []byte(asBad)), " 0, admitted, warn c as before"},
		"an emergency":                           {Enforce, breakingGlass(create(podJSON("a"))), "Bypassed 1, admitted, audit c"},
		"an emergency without a need":            {Enforce, breakingGlass(create(podJSON("a:1"))), " 0, admitted"},
		"an emergency while nothing is enforced": {Observe, breakingGlass(create(podJSON("a"))), "Observed 1, admitted, audit c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := reviewer(t, Options{Enforcement: tc.enforcement}).Review(t.Context(), tc.request, day)
			got := fmt.Sprintf("%s %d, %s", d.Outcome, len(d.Refusing()), outcome(d, err))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if (d.Outcome != "") != (d.ID != "") || (d.Outcome != "") != (len(d.Manifest.Containers) > 0) {
				t.Errorf("outcome %q with id %q and manifest %v", d.Outcome, d.ID, d.Manifest)
			}
		})
	}
}

// TestWhoBreaksTheGlassIsNeverRefused holds it for what cannot be decided, too.
func TestWhoBreaksTheGlassIsNeverRefused(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{Set: set(t, [3]string{"broken", "deny", "to_number(i.value) > 1"})})
	for name, tc := range map[string]struct {
		request Request
		want    string
	}{
		"a rule that fails":                      {create(podJSON("a")), "undecided, binding true"},
		"a rule that fails in an emergency":      {breakingGlass(create(podJSON("a"))), "undecided, binding false"},
		"what cannot be read":                    {create([]byte(`{"spec":[]}`)), "undecided, binding true"},
		"what cannot be read in an emergency":    {breakingGlass(create([]byte(`{"spec":[]}`))), "undecided, binding false"},
		"an old object that cannot be read then": {breakingGlass(update([]byte(`{"spec":{"containers":{}}}`), podJSON("a:1"))), "admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := outcome(r.Review(t.Context(), tc.request, day)); got != tc.want {
				t.Errorf("outcome %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWarningOfBreakGlass(t *testing.T) {
	t.Parallel()
	two := []byte(`{"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"weak","image":"a"}],"containers":[{"name":"strong","image":"a"}]}}`)
	for name, tc := range map[string]struct {
		dryRun bool
		want   string
	}{
		"a request": {false, "break-glass: admitted, and recorded as ID"},
		"a dry run": {true, "break-glass: would be admitted, and recorded as ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := breakingGlass(create(two))
			req.DryRun = tc.dryRun
			d := review(t, reviewer(t, Options{}), req, day)
			want := []string{strings.Replace(tc.want, "ID", d.ID, 1), `test.strict: container "weak" uses "a" of docker.io/library/a`}
			if diff := cmp.Diff(want, d.Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// owned is a Pod with a controlling owner, and as much of its name as is given.
func ownedBy(names, apiVersion, kind string) []byte {
	return fmt.Appendf(nil, `{"metadata":{%s,"ownerReferences":[{"apiVersion":%q,"kind":%q,"name":"build","controller":true}]},"spec":{"containers":[{"name":"c","image":"a"}]}}`,
		names, apiVersion, kind)
}

func TestRoot(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 60) + "-"
	generated := func(names string) []byte {
		return []byte(strings.Replace(string(podJSON("a")), `"name":"p"`, names, 1))
	}
	by := func(user string, req Request) Request {
		req.User = user
		return req
	}
	request := func(operation, name string, object []byte) Request {
		return Request{Operation: operation, Kind: "Pod", Namespace: "team", Name: name, User: "jane", Object: object, OldObject: []byte(`{}`)}
	}
	pod := func(name string) auditv1alpha1.Root {
		return auditv1alpha1.Root{Kind: "Pod", Namespace: "team", Name: name, Text: "Pod team/" + name}
	}
	for name, tc := range map[string]struct {
		request    Request
		want       auditv1alpha1.Root
		wantObject string // in the message; the root if empty
	}{
		"the object":                      {request(Create, "p", podJSON("a")), pod("p"), ""},
		"a name that is being generated":  {request(Create, "", generated(`"generateName":"web-"`)), pod("web-*"), ""},
		"a name that was generated":       {request(Create, "", generated(`"generateName":"web-","name":"web-x7k2p"`)), pod("web-*"), ""},
		"and is in the request":           {request(Create, "web-x7k2p", generated(`"generateName":"web-","name":"web-x7k2p"`)), pod("web-*"), ""},
		"of a long one":                   {request(Create, "", generated(`"generateName":"`+long+`","name":"`+long[:58]+`x7k2p"`)), pod(long + "*"), ""},
		"a chosen one of that beginning":  {request(Create, "shop-miner", generated(`"generateName":"shop-","name":"shop-miner"`)), pod("shop-miner"), ""},
		"as long as a generated":          {request(Create, "shop-mines", generated(`"generateName":"shop-","name":"shop-mines"`)), pod("shop-mines"), ""},
		"shorter than a generated":        {request(Create, "shop-x7k2", generated(`"generateName":"shop-","name":"shop-x7k2"`)), pod("shop-x7k2"), ""},
		"another name beside a generated": {request(Create, "p", generated(`"generateName":"web-","name":"p"`)), pod("p"), ""},
		"a generated name that exists":    {request(Update, "web-x7k2p", generated(`"generateName":"web-","name":"web-x7k2p"`)), pod("web-x7k2p"), ""},
		"an owner of a kind that we do not cover": {
			by("system:serviceaccount:argo:workflow-controller", request(Create, "build-1", ownedBy(`"name":"build-1"`, "argoproj.io/v1alpha1", "Workflow"))),
			auditv1alpha1.Root{Group: "argoproj.io", Kind: "Workflow", Namespace: "team", Name: "build", Text: "Workflow team/build"}, "Pod team/build-1",
		},
		"and the controller manager": {
			by("system:kube-controller-manager", request(Create, "build-1", ownedBy(`"name":"build-1"`, "argoproj.io/v1alpha1", "Workflow"))),
			auditv1alpha1.Root{Group: "argoproj.io", Kind: "Workflow", Namespace: "team", Name: "build", Text: "Workflow team/build"}, "Pod team/build-1",
		},
		"and a person who wrote it":    {request(Create, "p", ownedBy(`"name":"p"`, "payments.example.com/v1", "Ledger")), pod("p"), ""},
		"an owner that somebody wrote": {request(Create, "p", ownedBy(`"name":"p"`, "apps/v1", "ReplicaSet")), pod("p"), ""},
		"no namespace": {
			Request{Operation: Create, Kind: "Pod", Name: "p", User: "jane", Object: podJSON("a")}, auditv1alpha1.Root{Kind: "Pod", Name: "p", Text: "Pod p"}, "",
		},
		"a name that would forge a line": {request(Create, "p\nq", podJSON("a")), pod(`p\nq`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := review(t, reviewer(t, Options{}), tc.request, day)
			if diff := cmp.Diff(tc.want, d.Root); diff != "" {
				t.Errorf("root (-want +got):\n%s", diff)
			}
			if tc.wantObject == "" {
				tc.wantObject = tc.want.Text
			}
			if got := d.Message(); !strings.HasPrefix(got, tc.wantObject+": ") {
				t.Errorf("message %q does not name %s", got, tc.wantObject)
			}
		})
	}
}

// TestIDOfTries holds which tries are one, and which are not.
func TestIDOfTries(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{})
	deployment := func(name, container string) Request {
		return Request{Operation: Create, Group: "apps", Kind: "Deployment", Namespace: "team", Name: name, User: "jane",
			Object: []byte(`{"spec":{"template":{"spec":{"containers":[` + container + `]}}}}`)}
	}
	const plain = `{"name":"c","image":"a","args":["--token=s3cret"],"env":[{"name":"A","value":"1"}]}`
	first := deployment("web", plain)
	change := func(edit func(*Request)) Request {
		req := first
		edit(&req)
		return req
	}
	id := func(req Request, at time.Time) string { d := review(t, r, req, at); return d.ID }
	want := id(first, day)
	for name, tc := range map[string]struct {
		request Request
		at      time.Time
		same    bool
	}{
		"an hour later":           {first, day.Add(time.Hour), true},
		"in another time zone":    {first, day.In(time.FixedZone("", 13*3600)), true},
		"the next day":            {first, day.AddDate(0, 0, 1), false},
		"as an update":            {change(func(r *Request) { r.Operation, r.OldObject = Update, []byte(`{}`) }), day, false},
		"as a dry run":            {change(func(r *Request) { r.DryRun = true }), day, true},
		"by another user":         {change(func(r *Request) { r.User = "john" }), day, false},
		"in an emergency":         {breakingGlass(first), day, false},
		"in another namespace":    {change(func(r *Request) { r.Namespace = "other" }), day, false},
		"under another name":      {deployment("web2", plain), day, false},
		"of another kind":         {change(func(r *Request) { r.Kind = "ReplicaSet" }), day, false},
		"with another variable":   {deployment("web", strings.Replace(plain, `"1"`, `"2"`, 1)), day, true},
		"with another secret":     {deployment("web", strings.Replace(plain, "s3cret", "0ther", 1)), day, true},
		"with another argument":   {deployment("web", strings.Replace(plain, "--token", "--access-token", 1)), day, false},
		"with another image":      {deployment("web", strings.Replace(plain, `"a"`, `"b"`, 1)), day, false},
		"with a second container": {deployment("web", plain+`,{"name":"d","image":"b:1"}`), day, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := id(tc.request, tc.at); (got == want) != tc.same || len(got) != idLength {
				t.Errorf("id is %q, the first try's is %q, want the same: %v", got, want, tc.same)
			}
		})
	}
}

// TestIDTellsRulesApart holds that the same object refused by more rules is another rejection.
func TestIDTellsRulesApart(t *testing.T) {
	t.Parallel()
	two := set(t, [3]string{"more", "deny", "true"})
	id := func(o Options) string {
		o.Set = two
		d := review(t, reviewer(t, o), create(podJSON("a")), day)
		return d.ID
	}
	both, one := id(Options{}), id(Options{Modes: map[string]policy.Mode{"test.more": policy.ModeWarn}})
	if both == one {
		t.Errorf("refused by two rules and by one, the id is %s", one)
	}
	if got := id(Options{Modes: map[string]policy.Mode{"test.more": policy.ModeAudit}}); got != one {
		t.Errorf("a rule that does not refuse changes the id from %s to %s", one, got)
	}
}

// TestPodsOfAControllerAreOneTry holds it for a controller that Plainspec does not know, whose Pods
// get other names and other token volumes each time.
func TestPodsOfAControllerAreOneTry(t *testing.T) {
	t.Parallel()
	id := func(suffix string) string {
		object := fmt.Sprintf(`{"metadata":{"name":"build-%[1]s","ownerReferences":[{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","name":"build","controller":true}]},
			"spec":{"containers":[{"name":"c","image":"a","volumeMounts":[{"name":"kube-api-access-%[1]s","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],
			"volumes":[{"name":"kube-api-access-%[1]s","projected":{"sources":[{"serviceAccountToken":{}},{"configMap":{"name":"kube-root-ca.crt"}}]}}]}}`, suffix)
		d := review(t, reviewer(t, Options{}), Request{Operation: Create, Kind: "Pod", Namespace: "ci", Name: "build-" + suffix, User: "system:serviceaccount:argo:workflow-controller", Object: []byte(object)}, day)
		return d.ID
	}
	if first, second := id("x7k2p"), id("q9z4m"); first != second || first == "" {
		t.Errorf("ids are %q and %q", first, second)
	}
}

// TestIDTellsWhatIsRefusedApart holds that what was refused is another rejection however little of it the record shows, and
// that nothing is in the id that is redacted there.
func TestIDTellsWhatIsRefusedApart(t *testing.T) {
	t.Parallel()
	library, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	r := reviewer(t, Options{Set: library})
	pod := func(annotations, more, container string) string {
		return `{"metadata":{"name":"shop","annotations":{` + annotations + `}},"spec":{"containers":[` + more + `{"name":"c","image":"tomcat:9.0.1"` + container + `}]`
	}
	fetched := func(url string) string {
		return pod("", "", `,"volumeMounts":[{"name":"v","mountPath":"/data"}]`) + `,"volumes":[{"name":"v","csi":{"driver":"d","volumeAttributes":{"downloadURL":"` + url + `"}}}]}}`
	}
	asked := func(artifact string) string {
		return pod(`"plainspec.dev/artifact":"`+artifact+`"`, "", "") + "}}"
	}
	// No record has room for the last of so many containers, or shows so many findings.
	long := func(image string) string {
		filler := strings.Repeat(`{"name":"x","image":"registry.example.com/`+strings.Repeat("x", 80)+`:1.2.3"},`, 200)
		return pod("", filler+`{"name":"last","image":"`+image+`"},`, "") + "}}"
	}
	many := func(image string) string {
		return pod("", strings.Repeat(`{"name":"x","image":"a"},`, 25)+`{"name":"last","image":"`+image+`"},`, "") + "}}"
	}
	claimed := func(claim string) string {
		return pod("", strings.Repeat(`{"name":"x","image":"registry.example.com/`+strings.Repeat("x", 80)+`:1.2.3"},`, 200), `,"volumeMounts":[{"name":"v","mountPath":"/usr/local/tomcat/webapps"}]`) +
			`,"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"` + strings.Repeat("x", 150) + claim + `"}}]}}`
	}
	for name, tc := range map[string]struct {
		first, second string
		same          bool
	}{
		"another download":                      {fetched("https://example.com/shop.war"), fetched("https://example.com/miner.war"), false},
		"another password of a download":        {fetched("https://jane:s3cret@example.com/shop.war"), fetched("https://jane:0ther@example.com/shop.war"), true},
		"another artifact":                      {asked("geektime/sample:v2"), asked("geektime/miner:v2"), false},
		"another image behind many":             {long("a"), long("b"), false},
		"another image behind many findings":    {many("a"), many("b"), false},
		"another token in an image behind many": {long("h/a?token=s3cret"), long("h/a?token=0ther"), true},
		"another claim that the record omits":   {claimed("shop"), claimed("miner"), false},
		"the same claim that the record omits":  {claimed("shop"), claimed("shop"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := review(t, r, create([]byte(tc.first)), day), review(t, r, create([]byte(tc.second)), day)
			if first.ID == "" || (first.ID == second.ID) != tc.same {
				t.Errorf("the ids are %q and %q, want the same: %v", first.ID, second.ID, tc.same)
			}
		})
	}
}
