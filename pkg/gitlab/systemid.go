package gitlab

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var systemIDForm = regexp.MustCompile(`^[sr]_[0-9a-zA-Z]{12}$`)

// LoadSystemID returns the system id in the file at path (.runner_system_id
// beside the config file). When there is none it makes one and stores it: from
// machineID if that is not empty, else a random one. In a container pass no
// machine id: all replicas of an image share it.
//
// When the new id cannot be stored, LoadSystemID returns it together with the
// error: it can be used, but after a restart GitLab will see another manager.
func LoadSystemID(path, machineID string) (string, error) {
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && systemIDForm.MatchString(id) {
		return id, nil
	}
	id := "r_" + rand.Text()[:12]
	if machineID = strings.TrimSpace(machineID); machineID != "" {
		mac := hmac.New(sha256.New, []byte(machineID))
		mac.Write([]byte("gitlab-runner"))
		id = "s_" + hex.EncodeToString(mac.Sum(nil))[:12]
	}
	if err := writeFile(path, id); err != nil {
		return id, fmt.Errorf("gitlab: store system id in %q: %w", path, err)
	}
	return id, nil
}

// writeFile replaces the file at once, so that no process reads half an id.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".runner_system_id-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
