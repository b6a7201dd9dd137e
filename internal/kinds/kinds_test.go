package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		group, kind, wantSpec, wantLabels string
		wantOK                            bool
	}{
		"a Pod is its own template":                   {"", "Pod", "spec", "metadata.labels", true},
		"a Deployment's template":                     {"apps", "Deployment", "spec.template.spec", "spec.template.metadata.labels", true},
		"a Deployment of a group no longer served":    {"extensions", "Deployment", "spec.template.spec", "spec.template.metadata.labels", true},
		"a CronJob's template is two levels down":     {"batch", "CronJob", "spec.jobTemplate.spec.template.spec", "spec.jobTemplate.spec.template.metadata.labels", true},
		"a PodTemplate has no spec of its own":        {"", "PodTemplate", "template.spec", "template.metadata.labels", true},
		"a Deployment of somebody else's group":       {"example.com", "Deployment", "", "", false},
		"a kind without Pods":                         {"", "Service", "", "", false},
		"the kind alone is not enough to be known":    {"", "Deployment", "", "", false},
		"a StatefulSet was never served as extension": {"extensions", "StatefulSet", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, ok := Find(tc.group, tc.kind)
			if ok != tc.wantOK {
				t.Fatalf("Find(%q, %q) found = %v, want %v", tc.group, tc.kind, ok, tc.wantOK)
			}
			if !ok {
				return
			}
			got := [2]string{kind.Template.SpecPath(), kind.Template.LabelsPath()}
			if diff := cmp.Diff([2]string{tc.wantSpec, tc.wantLabels}, got); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMakesChildren(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		user, group, kind string
		want              bool
	}{
		"the controller of the owner's kind":           {"system:serviceaccount:kube-system:replicaset-controller", "apps", "ReplicaSet", true},
		"the controller manager without own accounts":  {"system:kube-controller-manager", "batch", "Job", true},
		"a controller of another kind proves nothing":  {"system:serviceaccount:kube-system:job-controller", "apps", "ReplicaSet", false},
		"an account of that name in another namespace": {"system:serviceaccount:default:replicaset-controller", "apps", "ReplicaSet", false},
		"a person": {"jane", "apps", "ReplicaSet", false},
		"nobody is the controller of a kind without one":  {"", "", "Pod", false},
		"the controller manager for a kind it never owns": {"system:kube-controller-manager", "example.com", "CloneSet", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := MakesChildren(tc.user, tc.group, tc.kind); got != tc.want {
				t.Errorf("MakesChildren(%q, %q, %q) = %v, want %v", tc.user, tc.group, tc.kind, got, tc.want)
			}
		})
	}
}
