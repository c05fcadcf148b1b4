package live

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
)

// ci is the system whose job shows the output.
type ci string

const (
	none   ci = ""
	github ci = "github"
	gitlab ci = "gitlab"
)

func ciOf(getenv func(string) string) ci {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return github
	case getenv("GITLAB_CI") == "true":
		return gitlab
	}
	return none
}

var workflowCommand = regexp.MustCompile(`(?m)^(\s*)::`)

// harmless is text in which GitHub finds no commands: it obeys what begins
// with two colons, wherever it comes from.
func (c ci) harmless(text string) string {
	if c != github {
		return text
	}
	return strings.ReplaceAll(workflowCommand.ReplaceAllString(text, "$1|::"), "##[", "# #[")
}

// fold prints what inside does as a part that the CI system can fold away.
func (p *Printer) fold(name, title string, inside func()) {
	switch p.ci {
	case github:
		p.print("::group::" + escapeData(p.ci.harmless(title)))
		defer p.print("::endgroup::")
	case gitlab:
		name = strings.Map(sectionName, name)
		p.print(fmt.Sprintf("\x1b[0Ksection_start:%d:%s\r\x1b[0K%s", time.Now().Unix(), name, title))
		defer func() { p.print(fmt.Sprintf("\x1b[0Ksection_end:%d:%s\r\x1b[0K", time.Now().Unix(), name)) }()
	}
	inside()
}

func sectionName(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
		return r
	case r >= 'A' && r <= 'Z':
		return r - 'A' + 'a'
	}
	return '_'
}

// annotate shows an error next to the job, on GitHub.
func (p *Printer) annotate(title, text string) {
	if p.ci == github {
		p.print(fmt.Sprintf("::error title=%s::%s", escapeProperty(printable(p.ci.harmless(title))), escapeData(p.ci.harmless(clean(text)))))
	}
}

// annotation is the failure of a spec in few lines.
func annotation(r report.SpecResult) string {
	lines := []string{r.Reason}
	if r.Reason == "" {
		lines[0] = r.Title
	}
	for _, f := range r.Failures {
		for _, field := range f.Fields() {
			lines = append(lines, field.Name+" "+printable(field.Text))
		}
	}
	return strings.Join(append(lines, r.Again), "\n")
}

// escapeData and escapeProperty write what GitHub reads in a command.
func escapeData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func escapeProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(text))
}

// summaryLimit is the most that GitHub takes as the summary of a step.
const summaryLimit = 1024 * 1024

// AppendSummary adds the file at path to the summary of a CI job, which is the
// file at summary. More than GitHub takes is cut off at a line's end.
func AppendSummary(summary, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the summary of the run: %w", err)
	}
	f, err := os.OpenFile(summary, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("append to the summary of the job: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(cutSummary(data, summaryLimit-info.Size()))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("append to the summary of the job: %w", err)
	}
	return nil
}

func cutSummary(data []byte, room int64) []byte {
	const note = "\n\nThe summary is cut off here; the report has all of it.\n"
	if int64(len(data)) <= room {
		return data
	}
	room -= int64(len(note))
	if room < 0 {
		return nil
	}
	return append(bytes.Clone(data[:bytes.LastIndexByte(data[:room], '\n')+1]), note...)
}
