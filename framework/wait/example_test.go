package wait_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// A probe reports whether the state is reached and what it saw.
func ExampleWaiter_Until() {
	ready := 0
	w := wait.Waiter{Interval: time.Millisecond}
	err := w.Until(context.Background(), wait.PodRuns, "3 pods to be Ready", func(context.Context) (bool, string, error) {
		ready++ // a real probe asks the API server
		return ready == 3, fmt.Sprintf("%d of 3 Ready", ready), nil
	})
	fmt.Println(ready, err)
	// Output: 3 <nil>
}

// The error of a wait that reached its limit names what was awaited and what
// was last seen.
func ExampleTimeoutError() {
	w := wait.Waiter{
		Interval: time.Millisecond,
		Limits:   map[wait.Name]time.Duration{wait.PodRuns: 10 * time.Millisecond},
		Scale:    wait.Scale{All: 2}, // as on a slow machine
	}
	err := w.Until(context.Background(), wait.PodRuns, "pod cache-0 to run", func(context.Context) (bool, string, error) {
		return false, "Pending: no node has the driver", nil
	})
	var timeout *wait.TimeoutError
	fmt.Println(errors.As(err, &timeout))
	fmt.Println(err)
	// Output:
	// true
	// waited 20ms for pod cache-0 to run: last seen Pending: no node has the driver
}

// A probe ends the wait at once when the state can no longer be reached.
func ExampleStop() {
	failed := errors.New("the pod failed with exit code 1")
	err := wait.Waiter{}.Until(context.Background(), wait.PodRuns, "pod cache-0 to run", func(context.Context) (bool, string, error) {
		return false, "", wait.Stop(failed)
	})
	fmt.Println(errors.Is(err, failed))
	// Output: true
}

// Open keeps what is being awaited at the moment.
func ExampleOpen() {
	var open wait.Open
	w := open.Watch(wait.Waiter{})
	err := w.Until(context.Background(), wait.PodRuns, "pod cache-0 to run", func(context.Context) (bool, string, error) {
		for _, o := range open.Waits() {
			fmt.Println("waiting for", o.What)
		}
		return true, "Running", nil
	})
	fmt.Println(len(open.Waits()), err)
	// Output:
	// waiting for pod cache-0 to run
	// 0 <nil>
}
