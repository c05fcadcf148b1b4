package lab

import "testing"

// The id of a process that has ended may be that of another one by now.
func TestKillSparesALaterProcess(t *testing.T) {
	l := testLab(t)
	cmd := sleeper(t, l, "sleeper")
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p, ok := l.find("sleeper")
	if !ok {
		t.Fatal("the process is not found")
	}
	earlier := p
	earlier.started = "1"
	if err := earlier.kill(); err != nil {
		t.Error(err)
	}
	if now, ok := l.find("sleeper"); !ok || now != p {
		t.Errorf("after the end of an earlier process with its id: %v, %v", now, ok)
	}
}
