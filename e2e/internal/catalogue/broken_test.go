package catalogue

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/e2e/testdata/broken"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

// TestBroken makes sure that the list of broken deployments fits the
// directories, the specs, the requirements and the table of the README.
func TestBroken(t *testing.T) {
	deployments, err := broken.Deployments()
	if err != nil {
		t.Fatal(err)
	}
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		t.Fatal(err)
	}
	mentioned := func(check string) bool {
		return slices.ContainsFunc(c.Requirements, func(r spec.Requirement) bool { return strings.Contains(check, string(r.ID)) })
	}
	var listed []string
	for _, d := range deployments {
		listed = append(listed, d.Directory)
		if d.Variable != "EPHEMERAL" && d.Variable != "PERSISTENT" || len(d.Rejections) == 0 {
			t.Errorf("%s: variable %q and %d rejections", d.Directory, d.Variable, len(d.Rejections))
		}
		for _, r := range d.Rejections {
			covered := map[spec.ReqID]bool{}
			for _, id := range r.By {
				i := slices.IndexFunc(c.Specs, func(s spec.Spec) bool { return s.ID == id })
				if i < 0 {
					t.Errorf("%s: there is no spec %s", d.Directory, id)
					continue
				}
				for _, req := range c.Specs[i].Covers {
					covered[req] = true
				}
			}
			for words := range strings.SplitSeq(r.With, "; ") {
				if req, check, _ := strings.Cut(words, " "); !covered[spec.ReqID(req)] || mentioned(check) {
					t.Errorf("%s: %q are not the words of one requirement of %v; separate several by semicolons", d.Directory, words, r.By)
				}
			}
			for _, req := range r.Violates {
				if !covered[req] {
					t.Errorf("%s: %v do not cover %s", d.Directory, r.By, req)
				}
				if !strings.Contains(r.With, string(req)) {
					t.Errorf("%s: the words %q lack %s", d.Directory, r.With, req)
				}
			}
			if len(r.By) == 0 || len(r.Violates) == 0 {
				t.Errorf("%s: a rejection by %v for %v", d.Directory, r.By, r.Violates)
			}
		}
	}
	var there []string
	found, err := filepath.Glob("../../testdata/broken/*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		there = append(there, filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(listed)
	if !slices.Equal(listed, there) {
		t.Errorf("listed are\n%v, the directories are\n%v", listed, there)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []bool{false, true} {
		table := broken.Markdown(deployments, expected)
		if strings.HasSuffix(strings.TrimSpace(table), "|---|") {
			continue // all have run
		}
		if !strings.Contains(string(readme), "\n"+table+"\n") {
			t.Errorf("e2e/README.md lacks this table; put it in place of the one that is there:\n%s", table)
		}
	}
}
