package report

import (
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
)

// Names of facts about a node that say what its memory is.
const (
	FactEmulated    = "persistent memory is emulated" // FactYes, FactNo or something else
	FactMemory      = "persistent memory"             // what it is: the modules, or what emulates them
	FactAccelerator = "accelerator"                   // what runs the node's instructions, such as FactTCG
)

// Values of those facts.
const (
	FactYes = "yes"
	FactNo  = "no"
	FactTCG = "TCG" // QEMU translates every instruction
)

// Values are those of a fact, each once, of a group or of every group that
// begins with the word.
func (d Document) Values(group, name string) []string {
	var values []string
	for _, f := range d.Facts {
		kind, _, _ := strings.Cut(f.Group, " ")
		if (f.Group == group || kind == group) && f.Name == name && !slices.Contains(values, f.Value) {
			values = append(values, f.Value)
		}
	}
	return values
}

// MemoryStatement is what the benchmarks show about persistent memory as
// hardware, a sentence or two for each thing that limits it.
func (d Document) MemoryStatement() []string {
	var sentences []string
	emulated := d.Values("node", FactEmulated)
	what := strings.Join(d.Values("node", FactMemory), "; ")
	switch {
	case slices.Contains(emulated, FactYes):
		sentences = append(sentences, fmt.Sprintf("Persistent memory is emulated%s: it is DRAM. What is compared is a volume of the driver with one in main memory; "+
			"nothing here says anything about the latency of Optane or CXL memory.", bracketed(what)))
	case len(emulated) > 0 && !slices.ContainsFunc(emulated, func(v string) bool { return v != FactNo }):
		sentences = append(sentences, fmt.Sprintf("Persistent memory is real%s.", bracketed(what)))
	default:
		sentences = append(sentences, fmt.Sprintf("What the persistent memory is could not be found out%s, so that the figures say nothing about a kind of it.", bracketed(what)))
	}
	if slices.Contains(d.Values("node", FactAccelerator), FactTCG) {
		sentences = append(sentences, "The processor is emulated (accelerator TCG): absolute figures say nothing about hardware at all.")
	}
	return sentences
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return " (" + oneline.Of(text) + ")"
}
