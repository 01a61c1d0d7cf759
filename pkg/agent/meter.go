package agent

import (
	"fmt"
	"sync"
	"time"
)

// A movement is what a meter watches.
type movement struct {
	what  string       // for people: "Uploading artifacts.zip"
	total int64        // bytes that it will have moved; 0: nobody knows
	moved func() int64 // bytes so far, repeated ones included; it may have begun above 0
}

// meter prints how far m is, each time that the job's interval is over
// (TRANSFER_METER_FREQUENCY), until stop is called. stop waits for the last line.
func (h *helper) meter(m movement) (stop func()) {
	if h.plan.Meter <= 0 {
		return func() {}
	}
	ended := make(chan struct{})
	began, printed := m.moved(), time.Now()
	var printing sync.WaitGroup
	printing.Go(func() {
		tick := time.NewTicker(h.plan.Meter)
		defer tick.Stop()
		before := began
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			now, moved := time.Now(), m.moved()
			h.log.Plain(m.line(moved-began, rate(moved-before, now.Sub(printed))))
			before, printed = moved, now
		}
	})
	return func() {
		close(ended)
		printing.Wait()
	}
}

func (m movement) line(moved int64, speed string) string {
	if m.total <= 0 {
		return fmt.Sprintf("%s: %s, %s", m.what, size(moved), speed)
	}
	// What is repeated can make it more than all.
	percent := min(100, 100*float64(moved)/float64(m.total))
	return fmt.Sprintf("%s: %s of %s (%.0f%%), %s", m.what, size(moved), size(m.total), percent, speed)
}
