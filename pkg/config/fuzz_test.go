package config

import "testing"

// FuzzParse: no text makes a panic, and each problem says where it is.
func FuzzParse(f *testing.F) {
	f.Add("concurrent = 1\n" + entry)
	f.Add(entry + "[runners.policy]\nmode = \"audit\"\n[[runners.policy.rules]]\nname = \"a\"\nprotected = true\nuser_ids = [1]\nnode_selector = { a = \"b\" }\n")
	f.Add(entry + "[runners.policy.network]\ngitlab = [{ cidr = \"10.0.0.0/8\", except = [\"10.1.0.0/16\"], ports = [1] }]\n")
	f.Add(entry + "[runners.kubernetes.resource_classes.x]\ncpu_request = \"1\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse("config.toml", []byte(text))
		if (c == nil) == (err == nil) {
			t.Errorf("Parse returns config %v and error %v", c != nil, err)
		}
	})
}
