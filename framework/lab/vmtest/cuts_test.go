//go:build vm

package vmtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/power"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	cutNode = "node1"
	writer  = "writer"
)

// writeRecords waits for a number on its standard input, and then appends
// records from that number on. It reports a number when its record is safe.
const writeRecords = `while read -r i; do
	while printf '%010d %04000d\n' "$i" "$i" >>/data/records && sync /data/records; do
		echo "$i"
		i=$((i + 1))
	done
done`

// record is what the script writes for a number.
func record(i int) string { return fmt.Sprintf("%010d %04000d\n", i, i) }

// testCuts cuts the power of a node while a pod writes to persistent memory.
// What was safe before must be there afterwards, and what is there must be
// what was written, in order; only the very end may be torn. What the pod had
// in main memory must be gone.
func (s *suite) testCuts(t *testing.T) {
	s.startWriter(t)
	pod := s.ready(t, writer, "")
	next := 0
	var total time.Duration
	for i := range *cuts {
		boot := s.shell(t, writer, fmt.Sprintf("echo %d >/scratch/mark && sync /scratch/mark && cat /proc/sys/kernel/random/boot_id", i))
		start := time.Now()
		safe, cut := s.cutAfter(t, next, next+3+7*i%11)
		s.checkDisk(t)
		on := s.power(t, cutNode, power.On)
		pod = s.ready(t, writer, containerOf(pod))
		took := time.Since(start)
		total += took

		kept, torn := s.readRecords(t)
		if kept <= safe {
			t.Errorf("cut %d: record %d was safe, and of the records %d are left", i+1, safe, kept)
		}
		if found := s.shell(t, writer, "cat /scratch/mark 2>/dev/null; cat /proc/sys/kernel/random/boot_id"); strings.Contains(found, "\n") || found == boot {
			t.Errorf("cut %d: main memory has survived: %q", i+1, found)
		}
		if errs := s.shell(t, writer, "cat /sys/fs/ext4/*/errors_count | tr '\n' ' '"); strings.Trim(errs, "0 ") != "" {
			t.Errorf("cut %d: the filesystems of the node count errors: %s", i+1, errs)
		}
		t.Logf("cut %d: %d records safe, %d kept, %d bytes torn; cut %.1fs, node ready %.1fs, in all %.1fs", i+1, safe+1, kept, torn, cut.Seconds(), on.Seconds(), took.Seconds())
		next = kept
	}
	t.Logf("%d cuts, each from the first write to the pod that serves again: %.1fs on average", *cuts, total.Seconds()/float64(*cuts))
}

func (s *suite) startWriter(t *testing.T) {
	t.Helper()
	class, root := "pmem-csi-sc-late-binding", int64(0)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: writer, Namespace: namespace}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("256Mi")}},
	}}
	if err := s.cluster.Resources.Create(during(t), claim); err != nil {
		t.Fatal(err)
	}
	s.run(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: writer}, Spec: corev1.PodSpec{
		NodeSelector: map[string]string{corev1.LabelHostname: cutNode},
		Containers: []corev1.Container{{
			Command: []string{"bash", "-c", writeRecords}, Stdin: true,
			SecurityContext: &corev1.SecurityContext{RunAsUser: &root},
			VolumeMounts:    []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "scratch", MountPath: "/scratch"}},
		}},
		Volumes: []corev1.Volume{
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: writer}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		},
	}})
}

// cutAfter has the pod write from record first on, and cuts the power when
// record last is safe. It returns the latest record that was reported as safe,
// and how long the cut itself took.
func (s *suite) cutAfter(t *testing.T, first, last int) (safe int, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(during(t), 2*time.Minute)
	defer cancel()
	reports, report := io.Pipe()
	orders, order := io.Pipe()
	go func() {
		report.CloseWithError(s.cluster.Attach(ctx, namespace, writer, "main", orders, report, io.Discard))
	}()
	go fmt.Fprintln(order, first)
	safe = -1
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the writer said %q", lines.Text())
		}
		if safe = n; safe < last {
			continue
		}
		took = s.power(t, cutNode, power.Cut)
		return safe, took
	}
	t.Fatalf("the writer ended after record %d: %v", safe, lines.Err())
	return 0, 0
}

// checkDisk looks at the format of the node's disk while the node is off. Room
// that belongs to nothing is no error.
func (s *suite) checkDisk(t *testing.T) {
	t.Helper()
	const leaks = 3
	cmd := exec.CommandContext(during(t), "qemu-img", "check", filepath.Join(s.lab.Status(during(t)).Dir, "nodes", cutNode, "disk.qcow2"))
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != leaks {
		t.Errorf("the disk of %s: %v\n%s", cutNode, err, out)
	}
}

// readRecords returns the number of whole records, and takes off what is torn
// after them.
func (s *suite) readRecords(t *testing.T) (whole, torn int) {
	t.Helper()
	content := s.shell(t, writer, "cat /data/records; echo .")
	content = strings.TrimSuffix(content, ".")
	for rest := content; ; whole++ {
		next, ok := strings.CutPrefix(rest, record(whole))
		if !ok {
			torn = len(rest)
			break
		}
		rest = next
	}
	if size := len(record(0)); torn > size {
		t.Errorf("%d bytes after record %d are not what was written", torn, whole-1)
	}
	s.shell(t, writer, fmt.Sprintf("truncate -s %d /data/records && sync /data/records", whole*len(record(0))))
	return whole, torn
}
