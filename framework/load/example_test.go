package load_test

import (
	"fmt"

	"pmem-memcached-e2e/framework/load"
)

func ExampleParseDistribution() {
	for _, text := range []string{"uniform", "zipf:0.99", "zipf"} {
		if _, err := load.ParseDistribution(text); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(text, "is a distribution of keys")
	}
	// Output:
	// uniform is a distribution of keys
	// zipf:0.99 is a distribution of keys
	// Popular="zipf": give uniform, sequential, zipf:SKEW such as zipf:0.99, or hot:KEYS:TRAFFIC such as hot:0.1:0.9
}

func ExampleDefault() {
	o := load.Default("127.0.0.1:11211")
	o.Gets, o.Sets = 9, 1
	o.Depth = 0
	fmt.Println(o.Validate())
	// Output: Depth="0": give 1 to 4096
}
