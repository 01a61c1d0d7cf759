//go:build !race

package artifact_test

// largeFile is the size of a file that only zip64 can describe.
const largeFile = 4<<30 + 1
