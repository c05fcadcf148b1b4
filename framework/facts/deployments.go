package facts

import (
	"fmt"
	"strings"

	"pmem-memcached-e2e/framework/deploy"
)

const commandLimit = 300 // of a command in a fact, in bytes

// deployment reports what a manifest requests, with the image that the specs
// will run.
func (p *prober) deployment(m Deployment) {
	group := "deployment " + m.Title
	from := fmt.Sprintf("%s/%s of that kustomization", m.Kind, m.Name)
	p.add(group, "workload", m.Kind, from)
	p.add(group, "image", m.Image(), from)
	if v, err := m.Volume(); err != nil {
		p.unread(group, "volume", err)
	} else {
		p.add(group, "volume", describeVolume(v), from)
	}
	if command := command(m.Manifest); command != "" {
		p.add(group, "command", words(command, commandLimit), from)
	}
	args, _ := m.Env(deploy.ArgsVariable)
	if args.Secret() {
		args.Value = "in " + args.From
	}
	p.add(group, "arguments for memcached", words(args.Value, commandLimit), "MEMCACHED_ARGS in "+from)
	p.add(group, "Service for clients", fmt.Sprintf("%s, port %d", m.Service, m.ServicePort), "Services of that kustomization")
}

func describeVolume(v deploy.Volume) string {
	words := []string{string(v.Source)}
	if !v.Size.IsZero() {
		words = append(words, v.Size.String())
	}
	for _, w := range []struct{ name, value string }{{"driver", v.Driver}, {"class", v.Class}, {"", v.FSType}} {
		if w.value != "" {
			words = append(words, strings.TrimSpace(w.name+" "+w.value))
		}
	}
	return strings.Join(words, ", ")
}

// command is what the container memcached runs.
func command(m *deploy.Manifest) string {
	c := deploy.MemcachedContainer(m.Template().Spec)
	return strings.Join(append(c.Command, c.Args...), " ")
}
