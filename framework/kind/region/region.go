// Package region makes a volume group of a region of persistent memory for
// PMEM-CSI, and turns the region back into what it was. It touches no other
// region: the driver itself would convert every namespace that it finds.
package region

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
)

// Run runs a command with ndctl and LVM at hand, as root, and returns what it prints.
type Run func(ctx context.Context, args ...string) (string, error)

// State is what is known of a region that is in use, so that it can be given back.
type State struct {
	Bus, Region string // as ndctl calls them, such as ndbus0 and region0
	Namespace   string
	Mode        string // of the namespace before; empty: there was none
	Device      string // such as pmem0; empty as long as there is none
	Grouped     bool   // a volume group was, or was about to be, made
}

// Group is the name that PMEM-CSI expects of the volume group.
func (s State) Group() string { return s.Bus + s.Region + "fsdax" }

// UsedError says that the region is not free.
type UsedError struct{ Region, By string }

func (e *UsedError) Error() string { return fmt.Sprintf("%s is used: %s", e.Region, e.By) }

type bus struct {
	Dev     string `json:"dev"`
	Regions []struct {
		Dev        string `json:"dev"`
		Namespaces []struct {
			Dev      string `json:"dev"`
			Mode     string `json:"mode"`
			BlockDev string `json:"blockdev"`
		} `json:"namespaces"`
	} `json:"regions"`
}

// Find asks for a region and its namespace.
func Find(ctx context.Context, run Run, region string) (State, error) {
	text, err := run(ctx, "ndctl", "list", "-B", "-R", "-N", "-i", "-r", region)
	if err != nil {
		return State{}, err
	}
	var buses []bus
	data := bytes.TrimSpace([]byte(text))
	if len(data) > 0 && data[0] == '{' {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &buses); err != nil {
			return State{}, fmt.Errorf("output of ndctl %.200q: %w", text, err)
		}
	}
	for _, b := range buses {
		for _, r := range b.Regions {
			if r.Dev != region {
				continue
			}
			s := State{Bus: b.Dev, Region: r.Dev}
			for _, n := range r.Namespaces {
				if s.Namespace != "" {
					return State{}, &UsedError{region, "it is divided into several namespaces"}
				}
				s.Namespace, s.Mode, s.Device = n.Dev, n.Mode, n.BlockDev
			}
			return s, nil
		}
	}
	return State{}, fmt.Errorf("there is no region %s; ndctl reports %s", region, oneline.Of(text))
}

// Take makes the volume group. save is called before each change with what has
// to be given back after it.
func Take(ctx context.Context, run Run, s State, save func(State) error) (State, error) {
	if err := s.free(ctx, run); err != nil {
		return s, err
	}
	if err := save(s); err != nil {
		return s, err
	}
	if s.Mode != "fsdax" {
		args := []string{"ndctl", "create-namespace", "--force", "--mode", "fsdax", "--bus", s.Bus, "--region", s.Region}
		if s.Namespace != "" {
			args = append(args, "--reconfig", s.Namespace)
		}
		if _, err := run(ctx, args...); err != nil {
			return s, fmt.Errorf("make a namespace of %s fsdax: %w", s.Region, err)
		}
		now, err := Find(ctx, run, s.Region)
		if err != nil {
			return s, err
		}
		s.Namespace, s.Device = now.Namespace, now.Device
		if s.Device == "" {
			return s, fmt.Errorf("%s has no device now that it is fsdax", s.Namespace)
		}
	}
	s.Grouped = true
	if err := save(s); err != nil {
		return s, err
	}
	if _, err := run(ctx, "vgcreate", "--force", "--yes", s.Group(), "/dev/"+s.Device); err != nil {
		return s, fmt.Errorf("make the volume group %s: %w", s.Group(), err)
	}
	return s, nil
}

// free looks at the content itself: what udev knows may be old, or nothing.
func (s State) free(ctx context.Context, run Run) error {
	switch {
	case s.Namespace == "":
		return nil
	case s.Mode != "raw" && s.Mode != "fsdax":
		return &UsedError{s.Region, s.Namespace + " is in mode " + s.Mode}
	case s.Device == "":
		return &UsedError{s.Region, s.Namespace + " is not a disk"}
	}
	content, err := run(ctx, "wipefs", "--no-act", "--noheadings", "--output", "TYPE", "/dev/"+s.Device)
	if err != nil {
		return fmt.Errorf("look for content on %s: %w", s.Device, err)
	}
	if content = oneline.Words(content); content != "" {
		return &UsedError{s.Region, fmt.Sprintf("/dev/%s has content of the type %s; if it is not needed, sudo wipefs --all /dev/%s removes it", s.Device, content, s.Device)}
	}
	return nil
}

// GiveBack removes the volume group and makes the region what it was. What is
// gone already is not missed.
func GiveBack(ctx context.Context, run Run, s State) error {
	if s.Region == "" {
		return nil
	}
	if s.Grouped {
		groups, err := run(ctx, "vgs", "--noheadings", "--options", "vg_name")
		if err != nil {
			return err
		}
		if slices.Contains(strings.Fields(groups), s.Group()) {
			if _, err := run(ctx, "vgremove", "--force", "--yes", s.Group()); err != nil {
				return fmt.Errorf("remove the volume group %s: %w", s.Group(), err)
			}
		}
		if _, err := run(ctx, "wipefs", "--all", "/dev/"+s.Device); err != nil {
			return fmt.Errorf("remove LVM's label from %s: %w", s.Device, err)
		}
	}
	now, err := Find(ctx, run, s.Region)
	if err != nil {
		return err
	}
	switch {
	case now.Mode == s.Mode:
		return nil
	case s.Mode == "":
		_, err = run(ctx, "ndctl", "destroy-namespace", "--force", now.Namespace)
	default:
		_, err = run(ctx, "ndctl", "create-namespace", "--force", "--mode", s.Mode, "--bus", s.Bus, "--region", s.Region, "--reconfig", now.Namespace)
	}
	if err != nil {
		return fmt.Errorf("make %s %s again: %w", now.Namespace, s.Mode, err)
	}
	return nil
}

// ByHand are the commands that do what GiveBack does, for the user.
func (s State) ByHand() string {
	if s.Region == "" {
		return ""
	}
	commands := []string{}
	if s.Grouped {
		commands = append(commands, "sudo vgremove --force "+s.Group(), "sudo wipefs --all /dev/"+s.Device)
	}
	switch s.Mode {
	case "fsdax":
	case "":
		commands = append(commands, "sudo ndctl destroy-namespace --force the namespace of "+s.Region)
	default:
		commands = append(commands, fmt.Sprintf("sudo ndctl create-namespace --force --mode %s --reconfig %s", s.Mode, s.Namespace))
	}
	return strings.Join(commands, " && ")
}
