package lifecycle

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestHolderAsksAgainAfterAWhile: a GitLab may learn to hold jobs.
func TestHolderAsksAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := holder{wanted: true}
		if !h.asks() {
			t.Error("GitLab is never asked")
		}
		h.refused()
		time.Sleep(holdAgain - time.Second)
		if h.asks() {
			t.Error("GitLab is asked again although it has just refused")
		}
		time.Sleep(time.Second)
		if !h.asks() {
			t.Error("GitLab is not asked again")
		}
		if off := (&holder{}); off.asks() {
			t.Error("GitLab is asked although nobody wants it")
		}
	})
}
