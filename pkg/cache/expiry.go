package cache

import "time"

// maxExpiryMargin is how long before the store deletes them layers are no
// longer used: a job that begins now may read them for as long.
const maxExpiryMargin = 48 * time.Hour

// expired reports whether a layer of the given age may be gone before a job
// that begins now has read it, and due whether it is time for a new one.
//
// The bucket deletes objects by their age, whether they are in use or not; a
// base that is renewed at half of that never gets so far.
func expired(age, lifetime time.Duration) (gone, due bool) {
	if lifetime <= 0 {
		return false, false
	}
	margin := min(maxExpiryMargin, lifetime/15)
	return age >= lifetime-margin, age > lifetime/2
}
