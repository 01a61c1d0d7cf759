package store

import "testing"

// TestEnsureExists: a bucket is made once, with its rule, and can be used then.
func TestEnsureExists(t *testing.T) {
	b := open(t, startMinIO(t), func(c *Config) { c.Bucket = "made-by-runnerd" })
	for _, want := range []bool{true, false} {
		if made, err := b.EnsureExists(t.Context()); made != want || err != nil {
			t.Fatalf("EnsureExists = %v, %v; want %v", made, err, want)
		}
	}
	if changed, err := b.EnsureExpiry(t.Context(), "v1/", 14); !changed || err != nil {
		t.Errorf("EnsureExpiry = %v, %v; want a rule", changed, err)
	}
	if _, err := b.Put(t.Context(), "v1/a", []byte("x"), IfAbsent()); err != nil {
		t.Error(err)
	}
}
