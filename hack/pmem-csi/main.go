// Command pmem-csi-driver is the PMEM-CSI driver. Called as "pmem-csi-driver
// manifests [name]" it prints the deployment that this release of the driver
// embeds instead of running it.
package main

import (
	"fmt"
	"os"

	"github.com/intel/pmem-csi/deploy"
	driver "github.com/intel/pmem-csi/pkg/pmem-csi-driver"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "manifests" {
		os.Exit(driver.Main())
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pmem-csi-driver manifests NAME, with NAME one of")
		for _, f := range deploy.ListAll() {
			fmt.Fprintln(os.Stderr, " ", f.Name)
		}
		os.Exit(3)
	}
	y, err := deploy.Asset(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "pmem-csi-driver manifests:", err)
		os.Exit(3)
	}
	os.Stdout.Write(y)
}
