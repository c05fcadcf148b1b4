package host

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// fit are the files of a machine that has what it takes but for persistent memory.
var fit = map[string]string{
	"proc/sys/kernel/osrelease":                "6.12.1-amd64\n",
	"proc/cmdline":                             "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n",
	"proc/meminfo":                             "MemTotal:       16384000 kB\nMemAvailable:   12288000 kB\n",
	"sys/fs/cgroup/cgroup.controllers":         "cpuset cpu io memory pids\n",
	"lib/modules/6.12.1-amd64/modules.dep":     "kernel/drivers/nvdimm/nd_pmem.ko.xz: kernel/drivers/nvdimm/libnvdimm.ko.xz\nkernel/drivers/nvdimm/nd_e820.ko.xz:\nkernel/fs/xfs/xfs.ko.xz:\nkernel/fs/overlayfs/overlay.ko.xz:\n",
	"lib/modules/6.12.1-amd64/modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/drivers/md/dm-mod.ko\n",
}

// region adds region0, which has one namespace in a mode.
func region(mode string) map[string]string {
	return map[string]string{
		"sys/module/nd_pmem/initstate":                             "live\n",
		"sys/bus/nd/devices/region0/devtype":                       "nd_pmem\n",
		"sys/bus/nd/devices/region0/size":                          "2147483648\n",
		"sys/bus/nd/devices/region0/namespace0.0/size":             "2147483648\n",
		"sys/bus/nd/devices/region0/namespace0.0/mode":             mode + "\n",
		"sys/bus/nd/devices/region0/namespace0.0/holder":           "\n",
		"sys/bus/nd/devices/region0/namespace0.0/block/pmem0/size": "4194304\n",
		"sys/class/block/pmem0/dev":                                "259:0\n",
		"run/udev/data/b259:0":                                     "S:disk/by-path/platform-e820_pmem\nI:123\n",
	}
}

type answer struct {
	stdout, stderr string
	err            error
}

var docker = map[string]answer{"docker": {stdout: `{"ServerVersion":"26.1.5","SecurityOptions":["name=apparmor","name=cgroupns"],"CgroupVersion":"2"}`}}

func machine(t *testing.T, iomem string, engines map[string]answer, parts ...map[string]string) Machine {
	t.Helper()
	files := maps.Clone(fit)
	if iomem != "" {
		text, err := os.ReadFile(filepath.Join("..", "memmap", "testdata", iomem+".iomem"))
		if err != nil {
			t.Fatal(err)
		}
		files["proc/iomem"] = string(text)
	}
	for _, p := range parts {
		maps.Copy(files, p)
	}
	root := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return Machine{
		Files: root, Arch: "amd64",
		LookPath: func(name string) (string, error) {
			if _, ok := engines[name]; ok {
				return "/usr/bin/" + name, nil
			}
			return "", fs.ErrNotExist
		},
		Output: func(_ context.Context, name string, _ ...string) (string, string, error) {
			a := engines[name]
			return a.stdout, a.stderr, a.err
		},
	}
}

func TestProblems(t *testing.T) {
	exit := errors.New("exit status 1")
	tests := []struct {
		name    string
		iomem   string
		engines map[string]answer
		files   map[string]string // added, or removed where empty
		engine  string
		pmem    []string
		want    [][]string // words of each problem
	}{
		{name: "fit", iomem: "memmap-given", engines: docker, files: region("raw"), pmem: []string{"region0"}},
		{name: "fit with fsdax", iomem: "memmap-given", engines: docker, files: region("memory"), pmem: []string{"region0"}},
		{name: "no persistent memory", iomem: "laptop-16g", engines: docker, want: [][]string{{
			"no persistent memory: give the kernel the argument memmap=2G!4G, which takes 2048 MiB", `GRUB_CMDLINE_LINUX="... memmap=2G!4G"`, "update-grub",
			"--args='memmap=2G!4G'", `\\\$`, "/etc/kernel/cmdline", "KIND_PMEM=region0", "undo: remove the argument", "--remove-args"}}},
		{name: "little memory", iomem: "vm-4g", engines: docker, files: map[string]string{"proc/meminfo": "MemAvailable:   5600000 kB\n"},
			want: [][]string{{"memmap=1G!4G"}}},
		{name: "less memory", iomem: "vm-4g", engines: docker, files: map[string]string{"proc/meminfo": "MemAvailable:   4800000 kB\n"},
			want: [][]string{{"memmap=512M!4G"}}},
		{name: "too little memory", iomem: "vm-4g", engines: docker, files: map[string]string{"proc/meminfo": "MemAvailable:   3400000 kB\n"},
			want: [][]string{{"3320 MiB of memory are available", "needs 4096 MiB"}, {"none can be emulated", "at least 8 GiB"}}},
		{name: "no memory above 4 GiB", iomem: "vm-2g", engines: docker, want: [][]string{{"none can be emulated", "there are: none", "PROVIDER=lab"}}},
		{name: "ordinary user", iomem: "ordinary-user", engines: docker, want: [][]string{{"run this as root once", "hidden"}}},
		{name: "no memory map", engines: docker, want: [][]string{{"memory map cannot be read", "not in a container"}}},
		{name: "memmap without a region", iomem: "memmap-given", engines: docker,
			files: map[string]string{"proc/cmdline": "quiet memmap=2G!5G\n"}, want: [][]string{{"memmap=2G!5G, and made no region", "modprobe nd_e820 nd_pmem"}}},
		{name: "memmap without effect", iomem: "laptop-16g", engines: docker,
			files: map[string]string{"proc/cmdline": "quiet memmap=2G!64G\n"}, want: [][]string{{"has set no memory aside", "remove the argument"}}},
		{name: "no engine", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"}, want: [][]string{{"no container engine", "docker.io"}}},
		{name: "no such engine", iomem: "memmap-given", engines: docker, engine: "podman", files: region("raw"), pmem: []string{"region0"},
			want: [][]string{{`KIND_ENGINE="podman"`, "not found", "leave KIND_ENGINE unset"}}},
		{name: "engine without permission", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"docker": {stdout: `{"ServerErrors":["permission denied while trying to connect to the Docker daemon socket"]}`, err: exit}},
			want:    [][]string{{"this user may not use docker", "usermod -aG docker"}}},
		{name: "engine that does not run", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"docker": {stderr: "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", err: exit}},
			want:    [][]string{{"docker does not answer", "systemctl start docker"}}},
		{name: "the second engine answers", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"docker": {stderr: "Cannot connect", err: exit}, "podman": {stdout: `{"host":{"cgroupVersion":"v2","security":{"rootless":false}},"version":{"Version":"5.4.2"}}`}}},
		{name: "engine without root", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"podman": {stdout: `{"host":{"cgroupVersion":"v2","security":{"rootless":true}}}`}},
			want:    [][]string{{"podman runs without root", "sudo"}}},
		{name: "docker without root", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"docker": {stdout: `{"SecurityOptions":["name=seccomp,profile=builtin","name=rootless"],"CgroupVersion":"2"}`}},
			want:    [][]string{{"docker runs without root"}}},
		{name: "engine that babbles", iomem: "memmap-given", files: region("raw"), pmem: []string{"region0"},
			engines: map[string]answer{"docker": {stdout: `hello`}}, want: [][]string{{"docker does not answer", "cannot be read"}}},
		{name: "cgroup v1", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/fs/cgroup/cgroup.controllers", ""), want: [][]string{{"cgroup v1", "systemd.unified_cgroup_hierarchy=1"}}},
		{name: "modules that are missing", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "lib/modules/6.12.1-amd64/modules.builtin", ""), want: [][]string{{"no module dm_mod"}, {"no module ext4"}}},
		{name: "module that is not loaded", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/module/nd_pmem/initstate", ""), want: [][]string{{"nd_pmem is not loaded", "modprobe nd_pmem", "/etc/modules-load.d/nd_pmem.conf"}}},
		{name: "no consent", iomem: "memmap-given", engines: docker, files: region("raw"),
			want: [][]string{{"KIND_PMEM does not say", "give KIND_PMEM=region0", "is lost", "region0, 2048 MiB: free"}}},
		{name: "no such region", iomem: "memmap-given", engines: docker, files: region("raw"), pmem: []string{"region1"},
			want: [][]string{{`KIND_PMEM="region1"`, "no such region", "give one of region0"}}},
		{name: "mounted", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("memory"), "proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/pmem0 /mnt/pmem ext4 rw,dax=always 0 0\n"),
			want:  [][]string{{"namespace0.0 is used: it is mounted at /mnt/pmem", "never touches"}}},
		{name: "swap", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "proc/swaps", "Filename Type Size Used Priority\n/dev/pmem0 partition 2097148 0 -2\n"), want: [][]string{{"used for swap"}}},
		{name: "part of a volume group", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("memory"), "sys/class/block/pmem0/holders/dm-0/size", "1", "sys/class/block/dm-0/dm/name", "ndbus0region0fsdax-vol"),
			want:  [][]string{{"device dm-0 (ndbus0region0fsdax-vol) is made of it"}}},
		{name: "filesystem that is not mounted", iomem: "memmap-given", engines: docker,
			files: with(region("raw"), "run/udev/data/b259:0", "I:12\nE:ID_FS_TYPE=xfs\n"),
			want:  [][]string{{"free one of them yourself", "region0, 2048 MiB: namespace0.0 is used: it has content of the type xfs"}}},
		{name: "partitions", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/class/block/pmem0/pmem0p1/size", "1"), want: [][]string{{"it has the partition pmem0p1"}}},
		{name: "sectors", iomem: "memmap-given", engines: docker, pmem: []string{"region0"}, files: region("safe"), want: [][]string{{"in mode sector"}}},
		{name: "devdax", iomem: "memmap-given", engines: docker, pmem: []string{"region0"}, files: region("dax"), want: [][]string{{"devdax"}}},
		{name: "two namespaces", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/bus/nd/devices/region0/namespace0.1/size", "1073741824", "sys/bus/nd/devices/region0/namespace0.1/mode", "raw"),
			want:  [][]string{{"divided into 2 namespaces"}}},
		{name: "small region", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/bus/nd/devices/region0/size", "134217728"), want: [][]string{{"it has 128 MiB, and the specs need 512 MiB"}}},
		{name: "read-only", iomem: "memmap-given", engines: docker, pmem: []string{"region0"},
			files: with(region("raw"), "sys/bus/nd/devices/region0/read_only", "1"), want: [][]string{{"read-only"}}},
		{name: "nothing is right", iomem: "vm-24g", files: map[string]string{"sys/fs/cgroup/cgroup.controllers": "", "lib/modules/6.12.1-amd64/modules.dep": "",
			"lib/modules/6.12.1-amd64/modules.builtin": ""},
			want: [][]string{{"no container engine"}, {"cgroup v1"}, {"nd_pmem"}, {"nd_e820"}, {"dm_mod"}, {"ext4"}, {"xfs"}, {"overlay"}, {"memmap=2G!4G"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := machine(t, tt.iomem, tt.engines, tt.files).Read(t.Context(), tt.engine)
			if err != nil {
				t.Fatal(err)
			}
			problems := h.Problems(tt.pmem)
			if len(problems) != len(tt.want) {
				t.Fatalf("problems:\n%v\nwant %d", errors.Join(asErrors(problems)...), len(tt.want))
			}
			for i, p := range problems {
				for _, words := range tt.want[i] {
					if !strings.Contains(p.Error(), words) {
						t.Errorf("problem:\n%v\nwant the words %q", p, words)
					}
				}
				if p.Remedy == "" {
					t.Errorf("no remedy: %v", p)
				}
			}
		})
	}
}

func asErrors(problems []*Problem) []error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errs
}

func with(files map[string]string, pairs ...string) map[string]string {
	for i := 0; i < len(pairs); i += 2 {
		files[pairs[i]] = pairs[i+1]
	}
	return files
}

func TestRegions(t *testing.T) {
	parts := region("memory")
	maps.Copy(parts, map[string]string{
		// As the kernel shows a namespace that is fsdax: its disk is below the device that holds it.
		"sys/bus/nd/devices/region0/namespace0.0/holder":           "pfn0.1\n",
		"sys/bus/nd/devices/pfn0.1/block/pmem7/size":               "1\n",
		"sys/bus/nd/devices/region0/namespace0.0/block/pmem0/size": "",
		"sys/bus/nd/devices/region10/size":                         "1073741824\n",
		"sys/bus/nd/devices/region10/available_size":               "1073741824\n",
		"sys/bus/nd/devices/region10/namespace10.0/size":           "0\n", // the seed of the next one
		"sys/bus/nd/devices/region2/devtype":                       "nd_volatile\n",
		"sys/bus/nd/devices/region2/size":                          "1073741824\n",
	})
	h, err := machine(t, "memmap-given", docker, parts).Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Regions) != 2 || h.Regions[0].Name != "region0" || h.Regions[1].Name != "region10" {
		t.Fatalf("regions: %+v, want region0 and region10", h.Regions)
	}
	if n := h.Regions[0].Namespaces; len(n) != 1 || n[0].Device != "pmem7" || n[0].Mode != "fsdax" {
		t.Errorf("namespaces of region0: %+v, want one that is fsdax, with pmem7", n)
	}
	if r := h.Regions[1]; r.Free != 1<<30 || len(r.Namespaces) != 0 {
		t.Errorf("%+v, want 1 GiB free and no namespace", r)
	}
	if problems := h.Problems([]string{"region10"}); len(problems) > 0 {
		t.Errorf("region10: %v, want no problem", problems)
	}
}

// TestThis reads the machine that the test runs on, which may be any.
func TestThis(t *testing.T) {
	h, err := This().Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if h.Kernel == "" || h.Memory == 0 || h.Arch == "" {
		t.Errorf("this machine: %+v, want a kernel, memory and an architecture", h)
	}
	for _, p := range h.Problems(nil) {
		t.Log(p)
	}
}
