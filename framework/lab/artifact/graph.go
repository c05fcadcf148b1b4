package artifact

// kind is what a part is made by.
type kind string

const (
	programKind kind = "program" // the compiler
	rootKind    kind = "root"    // downloads
	imageKind   kind = "image"
	diskKind    kind = "disk"
)

// part is an artifact and the parts that it is made from: the edges of the
// graph of all parts, from which everything else about their order follows.
type part struct {
	kind kind
	Artifact
	from []*part
}

func (b *Builder) programPart(p Program) (*part, error) {
	a, err := p.artifact(b.root)
	return &part{kind: programKind, Artifact: a}, err
}

func rootPart(a Artifact) *part { return &part{kind: rootKind, Artifact: a} }

func (b *Builder) imagePart(i Image) (*part, error) {
	made := &part{kind: imageKind}
	var base, program *part
	if i.Base != nil {
		base = rootPart(i.Base.artifact())
		made.from = append(made.from, base)
	}
	if i.Program != nil {
		var err error
		if program, err = b.programPart(*i.Program); err != nil {
			return nil, err
		}
		made.from = append(made.from, program)
	}
	made.Artifact = i.artifact(b.store, base, program)
	return made, nil
}

// diskPart is the node's disk: the root filesystem, the node's programs, and
// the images already unpacked in containerd's store, which is much faster here
// than on an emulated processor.
func (b *Builder) diskPart() (*part, error) {
	made := &part{kind: diskKind, from: []*part{rootPart(b.kernel.root().artifact())}}
	for _, i := range b.images() {
		image, err := b.imagePart(i)
		if err != nil {
			return nil, err
		}
		made.from = append(made.from, image)
	}
	// The quickest to build first.
	for _, p := range []Program{nodeShell, containerd, b.kubernetes} {
		program, err := b.programPart(p)
		if err != nil {
			return nil, err
		}
		made.from = append(made.from, program)
	}
	var err error
	made.Artifact, err = b.diskArtifact(b.below(made.from, func(*part) bool { return true }))
	return made, err
}

// parts are those that a lab itself uses. All others are made for these.
type parts struct{ etcd, driver, qemu, disk, kubernetes *part }

// all returns them with the one that takes longest last.
func (p parts) all() []*part { return []*part{p.etcd, p.driver, p.qemu, p.disk, p.kubernetes} }

func (b *Builder) parts() (p parts, err error) {
	p.qemu = rootPart(qemuArtifact())
	for _, program := range []struct {
		Program
		part **part
	}{{etcd, &p.etcd}, {driver, &p.driver}, {b.kubernetes, &p.kubernetes}} {
		if *program.part, err = b.programPart(program.Program); err != nil {
			return p, err
		}
	}
	p.disk, err = b.diskPart()
	return p, err
}

// below returns the parts and all that they are made from, each once and after
// what it is made from. What is below a part is left out unless enter.
func (b *Builder) below(of []*part, enter func(*part) bool) []*part {
	var found []*part
	seen := map[string]bool{}
	var visit func(*part)
	visit = func(p *part) {
		path := b.store.Path(p.Artifact)
		if seen[path] {
			return
		}
		seen[path] = true
		if enter(p) {
			for _, from := range p.from {
				visit(from)
			}
		}
		found = append(found, p)
	}
	for _, p := range of {
		visit(p)
	}
	return found
}

// missing returns the parts that must be made, in an order in which they can
// be. A part that is there does without what it was made from.
func (b *Builder) missing(of []*part) []*part {
	lacks := func(p *part) bool { return !exists(b.store.Path(p.Artifact)) }
	var missing []*part
	for _, p := range b.below(of, lacks) {
		if lacks(p) {
			missing = append(missing, p)
		}
	}
	return missing
}
