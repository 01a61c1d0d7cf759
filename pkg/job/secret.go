package job

// A Secret is text that never shows itself: printing, logging or marshalling
// it yields "[masked]". Reveal returns the text itself.
type Secret string

const masked = "[masked]"

// Reveal returns the secret text, for the one place that has to send it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from showing the text.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText keeps encoders (JSON, TOML, zap) from showing the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
