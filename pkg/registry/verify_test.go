package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
)

var (
	thisDigest  = "sha256:" + strings.Repeat("12", 32)
	otherDigest = "sha256:" + strings.Repeat("34", 32)
)

func TestVerify(t *testing.T) {
	ours, second, others := newSigner(t, "ours.pub"), newSigner(t, "second.pub"), newSigner(t, "others.pub")
	payload := simplePayload(thisDigest)
	good := ours.layer(t, payload)
	changed := func(change func(a *mutate.Addendum)) mutate.Addendum {
		a := ours.layer(t, payload)
		change(&a)
		return a
	}
	sign := statement(signPredicateType, thisDigest)

	tests := map[string]struct {
		layers  []mutate.Addendum
		bundles [][]byte
		keys    []Key    // ours and second
		want    []string // of the error; none: it is signed by ours
	}{
		"not signed": {want: []string{"no signature of " + thisDigest + ";", "sign it with cosign sign --key"}},

		"a payload":                  {layers: []mutate.Addendum{good}},
		"one of several fits":        {layers: []mutate.Addendum{others.layer(t, payload), good}},
		"a broken one is in the way": {layers: []mutate.Addendum{changed(func(a *mutate.Addendum) { a.Annotations = nil }), good}},
		"any key fits":               {layers: []mutate.Addendum{good}, keys: []Key{second.key, ours.key}},
		"another key":                {layers: []mutate.Addendum{others.layer(t, payload)}, want: []string{"1 signature that none of the 2 keys fits"}},
		"another key than the one":   {layers: []mutate.Addendum{others.layer(t, payload)}, keys: []Key{ours.key}, want: []string{`1 signature that the key "` + ours.key.String() + `" does not fit`}},
		"copied from another image":  {layers: []mutate.Addendum{ours.layer(t, simplePayload(otherDigest))}, want: []string{`a signature by "` + ours.key.String() + `", but of ` + otherDigest}},
		"a flipped byte": {
			layers: []mutate.Addendum{changed(func(a *mutate.Addendum) {
				a.Layer = static.NewLayer([]byte(strings.Replace(string(payload), "elsewhere", "elsewhera", 1)), simpleMediaType)
			})},
			want: []string{"1 signature that none of the 2 keys fits"},
		},
		"no annotation":      {layers: []mutate.Addendum{changed(func(a *mutate.Addendum) { a.Annotations = nil })}, want: []string{"annotation " + simpleAnnotation + " is missing"}},
		"annotation no sig":  {layers: []mutate.Addendum{changed(func(a *mutate.Addendum) { a.Annotations[simpleAnnotation] = "?" })}, want: []string{"annotation " + simpleAnnotation}},
		"another media type": {layers: []mutate.Addendum{changed(func(a *mutate.Addendum) { a.Layer = static.NewLayer(payload, "text/plain") })}, want: []string{`media type "text/plain"`}},
		"a signed non-payload": {
			layers: []mutate.Addendum{ours.layer(t, []byte("null")), ours.layer(t, []byte("[")), ours.layer(t, []byte(`{"critical":{"type":"other"}}`))},
			want:   []string{`payload has type ""`, "unexpected end of JSON", `payload has type "other"`},
		},
		"too large": {
			layers: []mutate.Addendum{ours.layer(t, append(simplePayload(thisDigest), make([]byte, maxAnswer)...))},
			want:   []string{"larger than 4 MiB"},
		},
		"too many, the newest fits": {layers: append(repeat(others.layer(t, payload), 90), good)},
		"too many, an old one fits": {layers: append([]mutate.Addendum{good}, repeat(others.layer(t, payload), 90)...), want: []string{"64 signatures that", "27 signatures beyond the 64"}},

		"a bundle":                  {bundles: [][]byte{ours.bundle(t, statementType, sign)}},
		"one of several bundles":    {bundles: [][]byte{others.bundle(t, statementType, sign), ours.bundle(t, statementType, sign), []byte("{}")}},
		"both layouts":              {layers: []mutate.Addendum{others.layer(t, payload)}, bundles: [][]byte{ours.bundle(t, statementType, sign)}},
		"a bundle of many images":   {bundles: [][]byte{ours.bundle(t, statementType, statement(signPredicateType, otherDigest, thisDigest))}},
		"a bundle by another key":   {bundles: [][]byte{others.bundle(t, statementType, sign)}, want: []string{"1 signature that none of the 2 keys fits"}},
		"a bundle of another image": {bundles: [][]byte{ours.bundle(t, statementType, statement(signPredicateType, otherDigest))}, want: []string{"but of " + otherDigest}},
		"a bundle of nothing":       {bundles: [][]byte{ours.bundle(t, statementType, statement(signPredicateType))}, want: []string{"but of nothing"}},
		"another payload type":      {bundles: [][]byte{ours.bundle(t, "text/plain", sign)}, want: []string{`payload type "text/plain"`}},
		"an attestation":            {bundles: [][]byte{ours.bundle(t, statementType, statement("https://slsa.dev/provenance/v1", thisDigest))}, want: []string{`attests "https://slsa.dev/provenance/v1"`}},
		"a statement of another kind": {
			bundles: [][]byte{ours.bundle(t, statementType, []byte(strings.Replace(string(sign), "in-toto.io", "in-tata.io", 1)))},
			want:    []string{`statement has type "https://in-tata.io/`},
		},
		"a changed statement":     {bundles: [][]byte{reseal(t, ours.bundle(t, statementType, statement(signPredicateType, otherDigest)), sign)}, want: []string{"none of the 2 keys fits"}},
		"two signatures":          {bundles: [][]byte{twice(t, ours.bundle(t, statementType, sign))}, want: []string{"bundle has 2 signatures"}},
		"a bundle without a DSSE": {bundles: [][]byte{[]byte(`{"mediaType":"` + bundleMediaType + `","messageSignature":{}}`)}, want: []string{"no dsseEnvelope"}},
		"a bundle that is none":   {bundles: [][]byte{[]byte("[]")}, want: []string{"bundle: json"}},
		"a bundle too large":      {bundles: [][]byte{make([]byte, maxAnswer+1)}, want: []string{"larger than 4 MiB"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := listen(t, newRegistry())
			if test.layers != nil {
				pushSimple(t, h, thisDigest, test.layers...)
			}
			for _, b := range test.bundles {
				pushBundle(t, h, thisDigest, b)
			}
			keys := test.keys
			if keys == nil {
				keys = []Key{ours.key, second.key}
			}
			got, err := client(t, h).Verify(t.Context(), h.name+"/group/app:v1", thisDigest, nil, keys)
			if test.want != nil {
				wantError(t, err, Unsigned, append(test.want, `verify image "`+h.name+`/group/app:v1"`)...)
				return
			}
			if err != nil || got.String() != ours.key.String() {
				t.Errorf("Verify = %q, %v; want %q", got, err, ours.key)
			}
		})
	}
}

func repeat(a mutate.Addendum, n int) []mutate.Addendum {
	var list []mutate.Addendum
	for range n {
		list = append(list, a)
	}
	return list
}

// reseal puts another payload under a bundle's signature.
func reseal(t *testing.T, bundle, payload []byte) []byte {
	t.Helper()
	return edit(t, bundle, func(envelope map[string]any) { envelope["payload"] = payload })
}

func twice(t *testing.T, bundle []byte) []byte {
	t.Helper()
	return edit(t, bundle, func(envelope map[string]any) {
		list := envelope["signatures"].([]any)
		envelope["signatures"] = append(list, list...)
	})
}

func edit(t *testing.T, bundle []byte, change func(envelope map[string]any)) []byte {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(bundle, &b); err != nil {
		t.Fatal(err)
	}
	change(b["dsseEnvelope"].(map[string]any))
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Registries without the referrers API have an index at a tag instead.
func TestVerifyByTheFallbackTag(t *testing.T) {
	ours := newSigner(t, "ours.pub")
	h := listen(t, fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	pushBundle(t, h, thisDigest, ours.bundle(t, statementType, statement(signPredicateType, thisDigest)))
	if _, err := client(t, h).Verify(t.Context(), h.name+"/group/app", thisDigest, nil, []Key{ours.key}); err != nil {
		t.Error(err)
	}
	if want := "GET /v2/group/app/manifests/sha256-" + thisDigest[len("sha256:"):]; !strings.Contains(fmt.Sprint(h.asked()), want) {
		t.Errorf("requests %q\nhave no %q", h.asked(), want)
	}
}

// A registry that does not answer has not said that there is no signature.
func TestVerifyAtARegistryThatIsAway(t *testing.T) {
	ours := newSigner(t, "ours.pub")
	registry := newRegistry()
	status := 0
	h := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != 0 && strings.HasSuffix(r.URL.Path, ".sig") {
			w.WriteHeader(status)
			return
		}
		registry.ServeHTTP(w, r)
	}))
	c, image := client(t, h), h.name+"/group/app:v1"
	for _, test := range []struct {
		status int
		kind   Kind
	}{{401, Denied}, {403, Denied}, {429, Unreachable}, {502, Unreachable}} {
		status = test.status
		_, err := c.Verify(t.Context(), image, thisDigest, nil, []Key{ours.key})
		wantError(t, err, test.kind, fmt.Sprint(test.status), image)
	}

	// What is there still counts.
	pushBundle(t, h, thisDigest, ours.bundle(t, statementType, statement(signPredicateType, thisDigest)))
	if _, err := c.Verify(t.Context(), image, thisDigest, nil, []Key{ours.key}); err != nil {
		t.Error(err)
	}
	h.Close()
	_, err := c.Verify(t.Context(), image, thisDigest, nil, []Key{ours.key})
	wantError(t, err, Unreachable, "cannot be reached")
}

// The registry may not pass one payload off as another.
func TestVerifyChecksAPayloadsDigest(t *testing.T) {
	ours := newSigner(t, "ours.pub")
	registry := newRegistry()
	flip := false
	h := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if flip && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			w.Write(simplePayload(otherDigest))
			return
		}
		registry.ServeHTTP(w, r)
	}))
	pushSimple(t, h, thisDigest, ours.layer(t, simplePayload(thisDigest)))
	flip = true
	_, err := client(t, h).Verify(t.Context(), h.name+"/group/app", thisDigest, nil, []Key{ours.key})
	wantError(t, err, Unsigned, "a signature that cannot be used", "sha256")
}

func TestVerifyWithoutThePayload(t *testing.T) {
	ours := newSigner(t, "ours.pub")
	registry := newRegistry()
	pushSimple(t, listen(t, registry), thisDigest, ours.layer(t, simplePayload(thisDigest)))
	h := listen(t, without(func(path string) bool { return !strings.Contains(path, "/blobs/") }, registry))
	_, err := client(t, h).Verify(t.Context(), h.name+"/group/app", thisDigest, nil, []Key{ours.key})
	wantError(t, err, Unsigned, "a signature that cannot be used: blob sha256:", "is not there")
}

func TestVerifyWantsADigest(t *testing.T) {
	c := clientWith(t, Options{})
	for _, digest := range []string{"", "latest", "sha256:12", "md5:" + strings.Repeat("12", 16)} {
		_, err := c.Verify(t.Context(), "registry.example.com/app", digest, nil, nil)
		wantError(t, err, BadName, "is no digest")
	}
	_, err := c.Verify(t.Context(), "registry.example.com/app@"+otherDigest, thisDigest, nil, nil)
	wantError(t, err, BadName, "the name has another digest")
}

func TestVerifyWithoutKeysIsUnsigned(t *testing.T) {
	ours := newSigner(t, "ours.pub")
	h := listen(t, newRegistry())
	pushSimple(t, h, thisDigest, ours.layer(t, simplePayload(thisDigest)))
	_, err := client(t, h).Verify(t.Context(), h.name+"/group/app", thisDigest, nil, nil)
	wantError(t, err, Unsigned, "none of the 0 keys fits")
}
