package spec

// Listing is what a suite has to offer, before it runs.
type Listing struct {
	Specs    []Spec
	Selected []string // ids of those that the user's filter lets through
}
