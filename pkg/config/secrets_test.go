package config

import "testing"

func TestSecrets(t *testing.T) {
	const text = entry + "[runners.kubernetes]\nnamespace = \"ci\"\n[runners.secrets]\n"
	c, _, err := Parse("config.toml", []byte(text+"vault_servers = [\"https://vault.example.com\", \"https://*.vault.internal:8200\"]\nca_file = \"/ca.pem\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Runners[0].Secrets; len(s.VaultServers) != 2 || s.CAFile != "/ca.pem" {
		t.Errorf("secrets = %+v", s)
	}
	for _, bad := range []string{"vault.example.com", "ftp://vault", "https://", "https://vault/path", "https://u:p@vault", "https://[vault"} {
		if _, _, err := Parse("config.toml", []byte(text+"vault_servers = [\""+bad+"\"]\n")); err == nil {
			t.Errorf("vault_servers = [%q] was taken", bad)
		}
	}
}
