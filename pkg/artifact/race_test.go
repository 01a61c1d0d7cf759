//go:build race

package artifact_test

// largeFile is smaller where everything takes ten times as long.
const largeFile = 256 << 20
