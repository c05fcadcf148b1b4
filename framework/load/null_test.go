package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain is also a server that answers every request with the same value,
// which is the right one when there is one key: a client's own ceiling.
func TestMain(m *testing.M) {
	if addr := os.Getenv("NULL_SERVER"); addr != "" {
		fmt.Fprintln(os.Stderr, nullServer(addr, os.Getenv("NULL_SIZE")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// nullServer counts the lines that come and sends as many answers, from one
// epoll, as cheaply as can be. It knows one key, whose set fits one read.
func nullServer(addr, size string) error {
	sizes, err := ParseSizes(size)
	if err != nil {
		return err
	}
	listener, err := nullListener(addr)
	if err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	watch := func(fd int) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := watch(listener); err != nil {
		return err
	}
	answer := fmt.Appendf(nil, "VA %s\r\n", size)
	answer = append(newContents(sizes, Default(addr).Seed).append(answer, 0, 1, sizes.of(0)), "\r\n"...)
	in, many := make([]byte, 64<<10), bytes.Repeat(answer, 4096)
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			fd := int(event.Fd)
			if fd == listener {
				if fd, _, err = unix.Accept(listener); err == nil {
					err = watch(fd)
				}
				if err != nil {
					return err
				}
				continue
			}
			n, errno := read(fd, in)
			if errno != 0 || n == 0 {
				_ = unix.Close(fd)
				continue
			}
			out := many[:bytes.Count(in[:n], []byte("\n"))*len(answer)]
			switch in[1] {
			case 's': // ms, of the one key
				out = []byte("HD\r\n")
			case 't', 'e': // stats, version
				out = []byte("ERROR\r\n")
			}
			for len(out) > 0 {
				sent, errno := write(fd, out)
				if errno != 0 {
					return errno
				}
				out = out[sent:]
			}
		}
	}
}

func nullListener(addr string) (int, error) {
	var port int
	if _, err := fmt.Sscanf(addr, "127.0.0.1:%d", &port); err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	return fd, unix.Listen(fd, 128)
}

// BenchmarkCeiling is the client's own limit: gets in a pipeline from a server
// that does nothing.
func BenchmarkCeiling(b *testing.B) {
	for _, setting := range []struct {
		size  string
		depth int
	}{{"100", 1}, {"100", 16}, {"100", 32}, {"1000", 16}} {
		b.Run(fmt.Sprintf("%sB-depth%d", setting.size, setting.depth), func(b *testing.B) {
			addr, _ := free(b)
			b.Setenv("NULL_SERVER", addr)
			b.Setenv("NULL_SIZE", setting.size)
			start(b, addr, pinned(os.Args[0])...)
			o := benchOptions(addr)
			o.Keys, o.Depth = 1, setting.depth
			var err error
			if o.Values, err = ParseSizes(setting.size); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				var results []Result
				for range pairs {
					results = append(results, measure(b, o))
				}
				runtime.ReadMemStats(&after)
				var answered int64
				for _, r := range results {
					answered += r.Answered()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(results, Result.PerSecond), "req/s")
				b.ReportMetric(median(results, func(r Result) float64 { return float64(r.CPUPerRequest()) }), "client-ns/req")
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(answered), "allocs/req")
			}
		})
	}
}
