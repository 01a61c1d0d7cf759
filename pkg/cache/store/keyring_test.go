package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// issuer is a source whose credentials are good for life; it counts.
type issuer struct {
	life  time.Duration
	fresh time.Duration
	asked int
	err   error
	needs []time.Duration
}

func (i *issuer) get(_ context.Context, need time.Duration) (keys, error) {
	i.asked++
	i.needs = append(i.needs, need)
	if i.err != nil {
		return keys{}, i.err
	}
	k := keys{Value: credentials.Value{AccessKeyID: string(rune('a' + i.asked)), SecretAccessKey: "s"}, fresh: i.fresh}
	if i.life != 0 {
		k.Expiration = time.Now().Add(i.life)
	}
	return k, nil
}

func TestKeyringRenewsInTime(t *testing.T) {
	type step struct {
		after time.Duration
		need  time.Duration
		asked int // how often the source has been asked by then
	}
	tests := []struct {
		name  string
		from  issuer
		steps []step
	}{
		{"static", issuer{}, []step{{0, 0, 1}, {1000 * time.Hour, MaxLife, 1}}},
		{"an hour", issuer{life: time.Hour}, []step{{0, 0, 1}, {47 * time.Minute, 0, 1}, {2 * time.Minute, 0, 2}}},
		{"longer than they are good for", issuer{life: time.Hour}, []step{{0, 2 * time.Hour, 1}, {30 * time.Second, 2 * time.Hour, 1}, {time.Minute, 2 * time.Hour, 2}}},
		{"good for long enough", issuer{life: 12 * time.Hour}, []step{{0, time.Hour, 1}, {8 * time.Hour, time.Hour, 1}, {0, 5 * time.Hour, 2}}},
		{"read again", issuer{fresh: 5 * time.Minute}, []step{{0, 0, 1}, {4 * time.Minute, 0, 1}, {time.Minute, 0, 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyring(tt.from.get)
				for i, s := range tt.steps {
					time.Sleep(s.after) // in the bubble's time
					if _, err := k.get(t.Context(), s.need); err != nil || tt.from.asked != s.asked {
						t.Errorf("step %d: asked %d times, want %d (error %v)", i, tt.from.asked, s.asked, err)
					}
				}
			})
		})
	}
}

// TestKeyringOutlivesAnOutage: good credentials are used while new ones cannot
// be had, and an outage is not made worse by asking all the time.
func TestKeyringOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &issuer{life: time.Hour}
		k := newKeyring(from.get)
		first, err := k.get(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		from.err = down
		time.Sleep(50 * time.Minute)
		for range 3 {
			if got, err := k.get(t.Context(), 0); err != nil || got.AccessKeyID != first.AccessKeyID {
				t.Errorf("get = %v, %v, want the old credentials", got, err)
			}
		}
		if from.asked != 2 {
			t.Errorf("asked %d times, want 2", from.asked)
		}
		time.Sleep(9*time.Minute + 30*time.Second)
		if _, err := k.get(t.Context(), 0); !errors.Is(err, down) {
			t.Errorf("get with 30 s left: %v, want the source's error", err)
		}
		from.err = nil
		if got, err := k.get(t.Context(), 0); err != nil || got.AccessKeyID == first.AccessKeyID {
			t.Errorf("get = %v, %v, want new credentials", got, err)
		}
	})
}

func TestKeyringWaitEndsWithItsContext(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	k := newKeyring(func(context.Context, time.Duration) (keys, error) {
		close(asked)
		<-answer
		return keys{}, nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := k.get(t.Context(), 0)
		done <- err
	}()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.get(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("get behind another: %v, want context.Canceled", err)
	}
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
