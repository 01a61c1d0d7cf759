package store

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/miniotest"
)

// nowhere takes the credentials of the machine that tests run on out of sight.
func nowhere(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_STS",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("HOME", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func ambient(c *Config) { c.Ambient = true }

// works writes and reads, by itself and by URL.
func works(t *testing.T, b *Bucket) {
	t.Helper()
	ctx := t.Context()
	if _, err := b.Put(ctx, "works/head", []byte("x"), Condition{}); err != nil {
		t.Fatal(err)
	}
	name := "works/" + rand.Text()
	put, err := b.PresignPut(ctx, name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, b, http.MethodPut, put, b.UploadHeaders(), []byte("bytes")); status != http.StatusOK {
		t.Fatalf("presigned PUT: %d %s", status, body)
	}
	get, err := b.PresignGet(ctx, name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, b, http.MethodGet, get, nil, nil); status != http.StatusOK || string(body) != "bytes" {
		t.Fatalf("presigned GET: %d %s", status, body)
	}
}

func from(t *testing.T, b *Bucket, want string) Credentials {
	t.Helper()
	list, err := b.Credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := list[len(list)-1]
	if !strings.Contains(got.From, want) {
		t.Errorf("credentials from %q, want %q", got.From, want)
	}
	return got
}

func TestAmbientCredentials(t *testing.T) {
	server := startMinIO(t)
	t.Run("environment", func(t *testing.T) {
		nowhere(t)
		t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey)
		t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretKey)
		b := open(t, server, ambient)
		works(t, b)
		from(t, b, "environment")
		if at, ok := b.CredentialsExpire(t.Context()); ok {
			t.Errorf("CredentialsExpire = %v, want never", at)
		}
	})
	t.Run("shared file", func(t *testing.T) {
		nowhere(t)
		file := filepath.Join(t.TempDir(), "credentials")
		text := fmt.Sprintf("[ci]\naws_access_key_id = %s\naws_secret_access_key = %s\n", server.AccessKey, server.SecretKey)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		t.Setenv("AWS_PROFILE", "ci")
		b := open(t, server, ambient)
		works(t, b)
		from(t, b, "shared credentials file")
	})
	t.Run("machine", func(t *testing.T) {
		nowhere(t)
		expire := time.Now().Add(30 * time.Minute).UTC().Truncate(time.Second)
		temporary := assume(t, server, 1800)
		t.Setenv("AWS_EC2_METADATA_DISABLED", "")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadataService(t, temporary, expire))
		b := open(t, server, ambient)
		works(t, b)
		from(t, b, "role of this container or machine")
		if at, ok := b.CredentialsExpire(t.Context()); !ok || !at.Equal(expire) {
			t.Errorf("CredentialsExpire = %v, %v, want %v", at, ok, expire)
		}
	})
	t.Run("pod identity", func(t *testing.T) {
		nowhere(t)
		temporary := assume(t, server, 1800)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "pod-token" {
				t.Errorf("asked with the token %q", r.Header.Get("Authorization"))
			}
			answerRole(t, w, temporary, time.Now().Add(time.Hour))
		}))
		t.Cleanup(s.Close)
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte("pod-token"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+"/v1/credentials")
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token)
		b := open(t, server, ambient)
		works(t, b)
		from(t, b, "role of this container or machine")
	})
	t.Run("none", func(t *testing.T) {
		nowhere(t)
		b := open(t, server, ambient)
		_, _, err := b.Get(t.Context(), "head", 10)
		if want := "credentials for s3://caches: none in the environment"; !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "set AccessKey and SecretKey, or give runnerd's pod a role") {
			t.Errorf("Get: %v, want ErrDenied with %q", err, want)
		}
	})
	t.Run("web identity that cannot be read", func(t *testing.T) {
		nowhere(t)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")
		b := open(t, server, ambient)
		if _, _, err := b.Get(t.Context(), "head", 10); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "web identity: open /no/such/token") {
			t.Errorf("Get: %v, want ErrDenied that names the file", err)
		}
	})
}

type temporaryKeys struct {
	AccessKeyID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
	SecretAccessKey string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
	SessionToken    string `xml:"AssumeRoleResult>Credentials>SessionToken"`
}

// assume returns temporary credentials of the server, good for some seconds.
func assume(t *testing.T, server *miniotest.Server, seconds int) temporaryKeys {
	t.Helper()
	b := open(t, server, func(c *Config) { c.RoleARN = "arn:aws:iam::1:role/any" })
	k, err := b.main.keys.get(t.Context(), time.Duration(seconds)*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return temporaryKeys{k.AccessKeyID, k.SecretAccessKey, k.SessionToken}
}

// metadataService is what a machine of AWS's asks for its role.
func metadataService(t *testing.T, k temporaryKeys, expire time.Time) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "imds-token") })
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ci-role") })
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/ci-role", func(w http.ResponseWriter, _ *http.Request) {
		answerRole(t, w, k, expire)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// answerRole is how AWS's services hand out what a role may use.
func answerRole(t *testing.T, w http.ResponseWriter, k temporaryKeys, expire time.Time) {
	answer := map[string]any{"Code": "Success", "AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken, "Expiration": expire}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		t.Error(err)
	}
}

func TestAssumeRole(t *testing.T) {
	server := startMinIO(t)
	nowhere(t)
	const arn = "arn:aws:iam::1:role/cache"

	t.Run("for everything", func(t *testing.T) {
		b := open(t, server, func(c *Config) { c.RoleARN = arn })
		works(t, b)
		got := from(t, b, arn)
		if left := time.Until(got.Expire); left < 50*time.Minute || left > 70*time.Minute {
			t.Errorf("good for %v, want an hour", left)
		}
	})
	t.Run("for as long as a URL lives", func(t *testing.T) {
		b := open(t, server, func(c *Config) { c.RoleARN = arn })
		if _, err := b.PresignPut(t.Context(), "o", 5*time.Hour); err != nil {
			t.Fatal(err)
		}
		if at, ok := b.CredentialsExpire(t.Context()); !ok || time.Until(at) < 5*time.Hour {
			t.Errorf("credentials expire in %v, and the URL is to live for 5 h", time.Until(at))
		}
	})
	t.Run("for uploads", func(t *testing.T) {
		b := open(t, server, func(c *Config) { c.UploadRoleARN = arn })
		works(t, b)
		if got := from(t, b, arn); !got.Uploads {
			t.Errorf("%+v are not said to be for uploads", got)
		}
		get, errGet := b.PresignGet(t.Context(), "o", time.Hour)
		put, errPut := b.PresignPut(t.Context(), "o", time.Hour)
		if errGet != nil || errPut != nil || strings.Contains(get, "X-Amz-Security-Token") || !strings.Contains(put, "X-Amz-Security-Token") {
			t.Errorf("signed with the role: GET %v, PUT %v, want only the PUT (%v, %v)",
				strings.Contains(get, "X-Amz-Security-Token"), strings.Contains(put, "X-Amz-Security-Token"), errGet, errPut)
		}
	})
	t.Run("on top of wrong keys", func(t *testing.T) {
		b := open(t, server, func(c *Config) { c.RoleARN, c.SecretKey = arn, "hunter2" })
		_, _, err := b.Get(t.Context(), "head", 10)
		if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "assume role for s3://caches: AccessDenied: role "+arn) {
			t.Errorf("Get: %v, want a refusal that names the role", err)
		}
	})
	t.Run("session token of the configuration", func(t *testing.T) {
		k := assume(t, server, 900)
		b := open(t, server, func(c *Config) {
			c.AccessKey, c.SecretKey, c.SessionToken = k.AccessKeyID, k.SecretAccessKey, k.SessionToken
		})
		works(t, b)
		from(t, b, "which is a temporary one")
	})
}

func TestWebIdentity(t *testing.T) {
	issuer := newIdentityProvider(t)
	server := startMinIO(t, "MINIO_IDENTITY_OPENID_CONFIG_URL="+issuer.url+"/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=runnerd", "MINIO_IDENTITY_OPENID_CLAIM_NAME=policy")
	nowhere(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(issuer.token(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	b := open(t, server, ambient)
	works(t, b)
	if got := from(t, b, "web identity"); got.Expire.IsZero() {
		t.Error("credentials of a web identity do not expire")
	}

	if err := os.WriteFile(file, []byte("forged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, server, ambient).Get(t.Context(), "head", 10); err == nil || !strings.Contains(err.Error(), "web identity") || strings.Contains(err.Error(), "forged") {
		t.Errorf("Get with a bad token: %v, want an error about the web identity", err)
	}
}

// An identityProvider is what a cluster is to the workloads that run in it: it
// signs tokens and publishes the key.
type identityProvider struct {
	url string
	key *rsa.PrivateKey
}

func newIdentityProvider(t *testing.T) *identityProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &identityProvider{key: key}
	reply := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": p.url, "jwks_uri": p.url + "/keys", "response_types_supported": []string{"id_token"}, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *identityProvider) token(t *testing.T) string {
	t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": p.url, "aud": "runnerd", "sub": "system:serviceaccount:ci:runnerd", "policy": "readwrite",
		"iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Hour).Unix(),
	})
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestVirtualHostStyle(t *testing.T) {
	server := startMinIO(t, "MINIO_DOMAIN=s3.test")
	_, port, err := net.SplitHostPort(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, server, func(c *Config) { c.Address, c.PathStyle = "s3.test:"+port, VirtualHost })
	// There is no such name; what matters is what stands in requests and URLs.
	dialed := map[string]bool{}
	b.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed[address] = true
		return (&net.Dialer{}).DialContext(ctx, network, server.Endpoint)
	}
	works(t, b)
	if !dialed["caches.s3.test:"+port] || len(dialed) != 1 {
		t.Errorf("dialed %v, want only the bucket's own host", dialed)
	}
	put, err := b.PresignPut(t.Context(), "o/1", time.Hour)
	if u, errURL := url.Parse(put); err != nil || errURL != nil || u.Host != "caches.s3.test:"+port || u.Path != "/o/1" {
		t.Errorf("presigned URL is for %s%s (%v, %v)", u.Host, u.Path, err, errURL)
	}
}

// kmsKey lets a server encrypt.
var kmsKey = "MINIO_KMS_SECRET_KEY=cache-key:" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

func TestEncryption(t *testing.T) {
	server := startMinIO(t, kmsKey)
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"SSE-S3":  {func(c *Config) { c.Encryption = EncryptS3 }, "AES256"},
		"SSE-KMS": {func(c *Config) { c.Encryption, c.KMSKey = EncryptKMS, "cache-key" }, "aws:kms"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, server, tt.change)
			works(t, b)
			if got := b.UploadHeaders()["X-Amz-Server-Side-Encryption"]; got != tt.want {
				t.Errorf("UploadHeaders ask for %q, want %q", got, tt.want)
			}
			get, err := b.PresignGet(t.Context(), "works/head", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			_, _, header, err := b.send(t.Context(), http.MethodGet, get, nil, nil)
			if got := header.Get("X-Amz-Server-Side-Encryption"); err != nil || got != tt.want {
				t.Errorf("the head is encrypted with %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// TestHosts: what is in a URL before anything is sent to it.
func TestHosts(t *testing.T) {
	nowhere(t)
	keys := Config{Bucket: "caches", AccessKey: "a", SecretKey: "b", Region: "eu-west-1"}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"AWS", func(c *Config) { c.DualStack = true }, "https://caches.s3.dualstack.eu-west-1.amazonaws.com/o"},
		{"AWS without IPv6", func(*Config) {}, "https://caches.s3.eu-west-1.amazonaws.com/o"},
		{"AWS, path style", func(c *Config) { c.PathStyle = PathAlways }, "https://s3.eu-west-1.amazonaws.com/caches/o"},
		{"AWS, accelerated", func(c *Config) { c.Accelerate = true }, "https://caches.s3-accelerate.amazonaws.com/o"},
		{"AWS, accelerated, IPv6", func(c *Config) { c.Accelerate, c.DualStack = true, true }, "https://caches.s3-accelerate.dualstack.amazonaws.com/o"},
		{"Google", func(c *Config) { c.Address = "storage.googleapis.com" }, "https://caches.storage.googleapis.com/o"},
		{"another", func(c *Config) { c.Address = "minio.ci:9000" }, "https://minio.ci:9000/caches/o"},
		{"another, virtual host", func(c *Config) { c.Address, c.PathStyle = "s3.ci", VirtualHost }, "https://caches.s3.ci/o"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := keys
			tt.change(&c)
			b, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			signed, err := b.PresignPut(t.Context(), "o", time.Hour)
			if got, _, _ := strings.Cut(signed, "?"); err != nil || got != tt.want {
				t.Errorf("URL %s (%v), want %s", got, err, tt.want)
			}
			if google := strings.Contains(c.Address, "google"); b.Conditional() == google {
				t.Errorf("Conditional = %v", b.Conditional())
			}
		})
	}
}
