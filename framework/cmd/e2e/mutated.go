package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/mutation"
	"pmem-memcached-e2e/framework/preflight"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// mutated is a cluster on which the suite runs many times, with other deployments each time.
type mutated struct {
	config config.Config
	home   home
	target run.Target
	lab    *labProvider // nil: the cluster exists
	unlock func()

	listing sync.Mutex

	mu     sync.Mutex
	images []string // of which a run has seen pods start; nil: no preflight check has run yet
}

// bringUp has a lab run all the time, with a memcached that lies if one is needed. An existing cluster is up.
func bringUp(ctx context.Context, c config.Config, h home, lies bool) (*mutated, error) {
	if err := h.checkLoadClients(c.Cluster.Provider); err != nil {
		return nil, err
	}
	m := &mutated{config: c, home: h, target: run.Target(existing(c)), unlock: func() {}}
	if c.Cluster.Provider != config.Lab {
		return m, nil
	}
	l, err := newLab(c, h.checkout, &redact.Redactor{})
	if err == nil && lies {
		if c.Lab.Images, err = l.lab.LyingImage(ctx, artifact.LyingMemcached); err == nil {
			l, err = newLab(c, h.checkout, &redact.Redactor{})
		}
	}
	if err != nil {
		return nil, err
	}
	if m.unlock, err = run.Lock(l.lock(), "the lab", 0o700); err != nil {
		return nil, err
	}
	m.lab, m.config = l, c
	if m.target, err = l.Up(ctx, progress.Lines(os.Stdout), func(wait.Record) {}); err != nil {
		return nil, errors.Join(err, m.down(context.WithoutCancel(ctx)))
	}
	return m, nil
}

// down removes a lab that was not up before.
func (m *mutated) down(ctx context.Context) error {
	defer m.unlock()
	if m.lab == nil {
		return nil
	}
	return m.lab.Down(ctx, progress.Lines(os.Stdout))
}

// suite runs specs as the main job does, in this process and one that it starts. What it prints goes into a file next
// to its report. What the cluster has to have is checked in the first run, and that images can be had in the first with them.
func (m *mutated) suite(ctx context.Context, r mutation.Run) (err error) {
	if err := os.MkdirAll(filepath.Dir(r.Report), 0o755); err != nil {
		return err
	}
	log, err := os.Create(r.Report + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	if r.Driver != "" {
		defer func() { err = errors.Join(err, m.restore(ctx, r.Report, log)) }()
		if err := lieOfDriver(ctx, log, r.Driver); err != nil {
			return err
		}
	}
	c := m.config
	c.ReportDir, c.Select.Focus, c.Select.Seed, c.Parallel = r.Report, r.Focus, 0, 1
	c.Deploy.Ephemeral, c.Deploy.Persistent = r.Deployments[spec.Ephemeral], r.Deployments[spec.Persistent]
	c.Shared, c.Foreseen, c.Bench = r.Shared, r.Foreseen, r.Measures
	images := imagesOf(c.Deploy.Ephemeral, c.Deploy.Persistent)
	c.SkipPreflight = append(slices.Clone(c.SkipPreflight), m.checked(images)...)
	signals := make(chan os.Signal, 1)
	defer context.AfterFunc(ctx, func() { signals <- syscall.SIGINT })()
	code := (&run.Runner{
		Config: c, Provider: run.Existing(m.target), Root: m.home.dir, Version: version(),
		Suite:   run.Suite{List: m.list, Args: []string{specsCommand}, LoadClient: m.home.loadClient()},
		Signals: signals, Getenv: func(string) string { return "" }, Stdout: log, Stderr: log,
	}).Run(context.WithoutCancel(ctx))
	if code == run.ExitUsage {
		return fmt.Errorf("the suite refused to run, see %s", log.Name())
	}
	m.learn(r.Report, images)
	return nil
}

func readReport(dir string) (report.Document, error) {
	text, err := os.ReadFile(filepath.Join(dir, "report.yaml"))
	if err != nil {
		return report.Document{}, err
	}
	return report.Decode("report.yaml", text)
}

// restore has the driver lie no longer. A lab in which it has left something behind, such as a mount that goes with a reboot only,
// is replaced, as the next run would see it, or miss it. After an interrupt there is no next run.
func (m *mutated) restore(ctx context.Context, dir string, log *os.File) error {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	if doc, err := readReport(dir); interrupted || err == nil && !leftBehind(doc) {
		return lieOfDriver(ctx, log, "real")
	}
	if err := m.lab.lab.Down(ctx); err != nil {
		return fmt.Errorf("replace the lab, in which a run has left something behind: %w", err)
	}
	var err error
	m.target, err = m.lab.Up(ctx, progress.Lines(log), func(wait.Record) {})
	return err
}

func leftBehind(doc report.Document) bool {
	return len(doc.Leaks) > 0 || len(doc.Errors) > 0 || slices.ContainsFunc(doc.Specs, func(s report.SpecResult) bool { return len(s.Leaks) > 0 })
}

// learn notes the images of a run whose checks have passed.
func (m *mutated) learn(dir string, images []string) {
	doc, err := readReport(dir) // the harness reads it too, and reports when it is missing
	if err != nil || len(doc.Preflight) == 0 || slices.ContainsFunc(doc.Preflight, func(c report.Check) bool { return c.State == report.CheckFailed }) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images = append(m.images, images...)
}

// list has one run at a time build the tree of specs.
func (m *mutated) list(c config.Config) (spec.Listing, error) {
	m.listing.Lock()
	defer m.listing.Unlock()
	return framework.List(c)
}

// checked are the preflight checks that earlier runs have made for these images, too.
func (m *mutated) checked(images []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.images == nil {
		return nil
	}
	return slices.DeleteFunc(preflight.Names(), func(check string) bool {
		return check == "images" && slices.ContainsFunc(images, func(image string) bool { return !slices.Contains(m.images, image) })
	})
}

// imagesOf are those of deployments that render.
func imagesOf(dirs ...string) []string {
	var images []string
	for _, dir := range dirs {
		if d, err := deploy.Load(dir, deploy.Changes{}); err == nil {
			images = append(images, d.Images()...)
		}
	}
	return images
}

// mainJob is the report of the main job in the report directory, if it is of this very program, on the cluster that is
// up, and about the manifests as they are. Its specs need not run on them again.
func mainJob(c config.Config, kubeconfig string) (report.Document, error) {
	doc, err := readReport(c.ReportDir)
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) && !errors.Is(err, fs.ErrNotExist) {
		return report.Document{}, err
	}
	if err != nil || doc.Run.Interrupted || doc.Run.Version != version() || strings.Contains(version(), " ") || !sameCluster(kubeconfig, doc.Run.Host) {
		return report.Document{}, nil
	}
	for mode, dir := range doc.Run.Deployments {
		if filepath.ToSlash(dir) != "manifests/"+mode {
			return report.Document{}, nil
		}
	}
	return doc, nil
}

func sameCluster(kubeconfig, host string) bool {
	text, err := os.ReadFile(kubeconfig)
	return err == nil && host != "" && strings.Contains(string(text), "server: "+host+"\n")
}
