//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
)

// loseEnd waits until the script has ended, and takes away from the node's file what
// its log has from text on, as a container runtime does that is killed in that moment.
func (k *killed) loseEnd(text string) {
	k.t.Helper()
	pod := k.ends(k.job, "build")
	file := filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "pod-logs", pod.Namespace+"_"+pod.Name+"_"+string(pod.UID), "helper", "0.log")
	log, err := os.ReadFile(file)
	if err != nil {
		k.t.Fatal(err)
	}
	at := bytes.Index(log, []byte(text))
	if at < 0 {
		k.t.Fatalf("%s has no %q:\n%s", file, text, log)
	}
	begin := bytes.LastIndexByte(log[:at], '\n') + 1
	if err := os.Truncate(file, int64(begin)); err != nil { // the runtime appends
		k.t.Fatal(err)
	}
}
