package spec

import "testing"

func TestPlan(t *testing.T) {
	absent := Support{Presence: Absent, Evidence: "one node"}
	unseen := Support{Presence: Unseen, Evidence: "exec is refused", Remedy: "allow it"}
	present := Support{Presence: Supported, Evidence: "it works"}
	for _, tt := range []struct {
		name     string
		profile  Profile
		needs    []Feature
		features map[Feature]Support
		outcome  Outcome
		why      string
	}{
		{"supported", Persistent, []Feature{NodeAccess}, map[Feature]Support{NodeAccess: present}, "", ""},
		{"undecided", Persistent, []Feature{NodeAccess}, nil, "", ""},
		{"absent", Persistent, []Feature{SecondNode}, map[Feature]Support{SecondNode: absent}, NotApplicable, "the cluster lacks second-node: one node"},
		{"not seen", Persistent, []Feature{NodeAccess}, map[Feature]Support{NodeAccess: unseen}, Undetermined,
			"it was not examined for lack of node-access: exec is refused; allow it"},
		{"one absent, another not seen", Persistent, []Feature{NodeAccess, SecondNode}, map[Feature]Support{NodeAccess: unseen, SecondNode: absent}, NotApplicable,
			"the cluster lacks second-node: one node"},
		{"what the profile demands", Persistent, []Feature{DAX}, map[Feature]Support{DAX: absent}, "", ""},
		{"of another profile", Driver, []Feature{DAX}, map[Feature]Support{DAX: absent}, NotApplicable, "the cluster lacks dax: one node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			s.Profile, s.Needs = tt.profile, tt.needs
			p := Plan([]Spec{s}, func(Spec) string { return "" }, tt.features)[0]
			if p.Outcome != tt.outcome || p.Why != tt.why || (p.Remedy != "") != (tt.outcome == Undetermined) {
				t.Errorf("%q because %q, remedy %q; want %q because %q", p.Outcome, p.Why, p.Remedy, tt.outcome, tt.why)
			}
		})
	}
	if p := Plan([]Spec{valid()}, func(Spec) string { return "FOCUS" }, map[Feature]Support{DAX: absent})[0]; p.Outcome != Skipped || p.Why != "FOCUS" {
		t.Errorf("%+v, want it to be skipped", p)
	}
}
