package spec

// Requirement is one line of the list of what a deployment, its cluster and
// its driver have to do.
type Requirement struct {
	ID         ReqID              `yaml:"id"`
	Chapter    string             `yaml:"chapter"`
	Level      Level              `yaml:"level"`
	Profiles   []Profile          `yaml:"profiles"`             // where it holds
	Text       string             `yaml:"text"`                 // one sentence
	Source     string             `yaml:"source"`               // where it comes from
	Versions   string             `yaml:"versions,omitempty"`   // of memcached for which it holds, such as ">= 1.6.9"; empty: all
	Uncovered  string             `yaml:"uncovered,omitempty"`  // why no spec covers it; empty: specs do
	Unexamined map[Profile]string `yaml:"unexamined,omitempty"` // why no spec covers it in a mode, although some do in another
}

// WhyUnexamined is the reason why no spec covers r in a mode; empty: specs do.
func (r Requirement) WhyUnexamined(p Profile) string {
	if r.Uncovered != "" {
		return r.Uncovered
	}
	return r.Unexamined[p]
}
