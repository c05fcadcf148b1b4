package artifact

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func namesOf(parts []*part) []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.Name)
	}
	return names
}

func TestMissingParts(t *testing.T) {
	named := func(name string, from ...*part) *part {
		return &part{Artifact: Artifact{Name: name, Make: writeContent}, from: from}
	}
	program, root := named("program"), named("root")
	image := named("image", root, program)
	disk := named("disk", root, image, program)
	for _, tt := range []struct {
		name  string
		there []*part
		want  []string
	}{
		{"nothing is there", nil, []string{"root", "program", "image", "disk"}},
		{"a program is there", []*part{program}, []string{"root", "image", "disk"}},
		{"an image is there", []*part{image}, []string{"root", "program", "disk"}},
		{"the disk is there and nothing that it was made from", []*part{disk}, []string{"program"}},
		{"all is there", []*part{disk, program}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &Builder{store: openStore(t)}
			for _, p := range tt.there {
				get(t, b.store, p.Artifact)
			}
			if got := namesOf(b.missing([]*part{disk, program})); !slices.Equal(got, tt.want) {
				t.Errorf("missing %q, want %q", got, tt.want)
			}
		})
	}
}

// Only what is missing needs the program that makes it.
func TestTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	program := &part{kind: programKind, Artifact: Artifact{Name: "etcd"}}
	root := &part{kind: rootKind, Artifact: Artifact{Name: "root-memcached"}}
	for _, tt := range []struct {
		missing []*part
		want    string // part of the error; empty: none
	}{
		{nil, ""}, {[]*part{{kind: imageKind}, {kind: diskKind}}, ""},
		{[]*part{{kind: imageKind}, program}, `etcd: exec: "go": executable file not found in $PATH; install go`},
		{[]*part{root}, `root-memcached: exec: "mmdebstrap": executable file not found`},
	} {
		err := tools(tt.missing)
		if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, ErrTool) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q are missing: %v, want %q", namesOf(tt.missing), err, tt.want)
		}
	}
}

// Each part of a lab comes once, after what it is made from, and Kubernetes,
// which takes longest to build, after the other programs.
func TestOrderOfTheParts(t *testing.T) {
	b, err := NewBuilder(openStore(t), checkout, DefaultVersions())
	if err != nil {
		t.Fatal(err)
	}
	of, err := b.parts()
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	var last *part
	for _, p := range b.missing(of.all()) {
		for _, from := range p.from {
			if !before[b.store.Path(from.Artifact)] {
				t.Errorf("%s comes before %s, which it is made from", p.Name, from.Name)
			}
		}
		if path := b.store.Path(p.Artifact); before[path] {
			t.Errorf("%s comes twice", p.Name)
		} else {
			before[path] = true
		}
		if p.kind == programKind {
			last = p
		}
	}
	if last == nil || last.Name != b.kubernetes.Module {
		t.Errorf("the last program is %v, want Kubernetes", last)
	}
}
