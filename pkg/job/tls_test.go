package job

import (
	"slices"
	"testing"
)

// The client certificate of the connection to GitLab is the job's, too: for git,
// for artifacts and for scripts.
func TestClientCertificate(t *testing.T) {
	j := example()
	j.TLSChain, j.TLSCert, j.TLSKey = "chain", "$cert\n", "$key\n"
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Variable{
		{Key: "CI_SERVER_TLS_CA_FILE", Value: "chain", Public: true, Raw: true, File: true},
		{Key: "CI_SERVER_TLS_CERT_FILE", Value: "$cert\n", Public: true, Raw: true, File: true},
		{Key: "CI_SERVER_TLS_KEY_FILE", Value: "$key\n", Raw: true, File: true},
	} {
		if got, _ := Lookup(p.Helper.Variables, want.Key); got != want {
			t.Errorf("the helper has %+v, want %+v", got, want)
		}
		if got := Value(p.Build.Variables, want.Key); got != "/builds/demo/hello.tmp/"+want.Key {
			t.Errorf("scripts see %s=%q, want its path", want.Key, got)
		}
		if slices.ContainsFunc(p.Environment, func(v Variable) bool { return v.Key == want.Key }) {
			t.Errorf("%s stands in the pod spec", want.Key)
		}
	}
	if src := p.Helper.Sources; src.ClientCert != j.TLSCert || src.ClientKey != j.TLSKey.Reveal() {
		t.Errorf("git has the certificate %q with key %q", src.ClientCert, src.ClientKey)
	}
	if !slices.Contains(p.Log.Masks, "$key") {
		t.Error("the key is not masked")
	}

	j.TLSCert, j.TLSKey = "", ""
	if p, err = Compile(j, options()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"CI_SERVER_TLS_CERT_FILE", "CI_SERVER_TLS_KEY_FILE"} {
		if _, ok := Lookup(p.Build.Variables, key); ok {
			t.Errorf("%s is there without a certificate", key)
		}
	}
}
