package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	zapobserver "go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestCachePrefix(t *testing.T) {
	for _, tt := range []struct {
		path   string
		shared bool
		want   string
	}{
		{"", true, ""},
		{"", false, "runner/abcdefghi/"},
		{"ci", true, "ci/"},
		{"/ci/caches/", false, "ci/caches/runner/abcdefghi/"},
	} {
		r := config.Runner{Token: "glrt-t1_abcdefghijklmnop", Cache: config.Cache{Path: tt.path, Shared: tt.shared}}
		if got := cachePrefix(r); got != tt.want {
			t.Errorf("prefix for Path %q, Shared %v is %q, want %q", tt.path, tt.shared, got, tt.want)
		}
	}
}

func TestStoreConfig(t *testing.T) {
	base := config.CacheS3{
		ServerAddress: "minio:9000", AccessKey: "a", SecretKey: "s", SessionToken: "t", BucketName: "b", BucketLocation: "eu",
		Insecure: true, AuthenticationType: "access-key", Accelerate: true, RoleARN: "r", UploadRoleARN: "u",
		AssumeRoleMaxConcurrency: -1, DisableAssumeRoleCredentialsCaching: true, ServerSideEncryption: "KMS", ServerSideEncryptionKeyID: "k",
		ConditionalPut: "off", CAFile: "ca", Headers: map[string]string{"x-amz-acl": "private"}, PathStyle: config.Some(false),
	}
	want := store.Config{
		Address: "minio:9000", AccessKey: "a", SecretKey: "s", SessionToken: "t", Bucket: "b", Region: "eu",
		Insecure: true, Accelerate: true, RoleARN: "r", UploadRoleARN: "u", DualStack: true,
		AssumeConcurrency: -1, AssumeAnew: true, Encryption: store.EncryptKMS, KMSKey: "k",
		ConditionalPut: store.ConditionalOff, CAFile: "ca", Headers: map[string]string{"x-amz-acl": "private"}, PathStyle: store.VirtualHost,
	}
	if diff := cmp.Diff(want, storeConfig(base)); diff != "" {
		t.Errorf("store of the configuration (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name   string
		change func(*config.CacheS3)
		got    func(store.Config) any
		want   any
	}{
		{"iam", func(c *config.CacheS3) { c.AuthenticationType = "iam" }, func(s store.Config) any { return s.Ambient }, true},
		{"path style not set", func(c *config.CacheS3) { c.PathStyle = config.Optional[bool]{} }, func(s store.Config) any { return s.PathStyle }, store.PathAuto},
		{"path style", func(c *config.CacheS3) { c.PathStyle = config.Some(true) }, func(s store.Config) any { return s.PathStyle }, store.PathAlways},
		{"no IPv6", func(c *config.CacheS3) { c.DualStack = config.Some(false) }, func(s store.Config) any { return s.DualStack }, false},
		{"SSE-S3", func(c *config.CacheS3) { c.ServerSideEncryption = "AES256" }, func(s store.Config) any { return s.Encryption }, store.EncryptS3},
		{"DSSE", func(c *config.CacheS3) { c.ServerSideEncryption = "aws:kms:dsse" }, func(s store.Config) any { return s.Encryption }, store.EncryptDSSE},
		{"no encryption", func(c *config.CacheS3) { c.ServerSideEncryption = "" }, func(s store.Config) any { return s.Encryption }, store.EncryptNone},
		{"conditions", func(c *config.CacheS3) { c.ConditionalPut = "on" }, func(s store.Config) any { return s.ConditionalPut }, store.ConditionalOn},
		{"conditions as they come", func(c *config.CacheS3) { c.ConditionalPut = "auto" }, func(s store.Config) any { return s.ConditionalPut }, store.ConditionalAuto},
	} {
		c := base
		tt.change(&c)
		if got := tt.got(storeConfig(c)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// runnerWithCache is an entry that keeps its caches in bucket, with more keys of
// the cache and its store.
func runnerWithCache(name, bucket, more string) string {
	return `[[runners]]
name = "` + name + `"
url = "https://gitlab.example.com"
token = "glrt-t1_` + name + `abcdefghi"
executor = "local"
[runners.cache]
Type = "s3"
Shared = true
s3.ServerAddress = "minio:9000"
s3.AccessKey = "a"
s3.BucketName = "` + bucket + `"
` + more
}

func TestCachePlaces(t *testing.T) {
	const key, other = "s3.SecretKey = \"s\"\n", "s3.SecretKey = \"other\"\n"
	text := runnerWithCache("one", "b", key) + runnerWithCache("two", "b", key) + runnerWithCache("three", "b", other) +
		runnerWithCache("four", "b", key+"Path = \"x\"\n") + runnerWithCache("five", "c", key) + runnerWithCache("six", "b", key+"lifetime = \"30d\"\n") +
		"[[runners]]\nname = \"none\"\nurl = \"https://gitlab.example.com\"\ntoken = \"glrt-x\"\nexecutor = \"local\"\n"
	a := &app{configPath: filepath.Join(t.TempDir(), "config.toml")}
	if err := os.WriteFile(a.configPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, runner string
		exact        bool
		want         string
	}{
		{"one place is handled once", "", false, "one two three six, four, five"},
		{"as often as it is reached differently", "", true, "one two, three, four, five, six"},
		{"one runner's", "four", false, "four"},
	} {
		places, err := a.cachePlaces(tt.runner, tt.exact)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range places {
			got = append(got, strings.Join(p.Runners, " "))
		}
		if joined := strings.Join(got, ", "); joined != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, joined, tt.want)
		}
	}
	if _, err := a.cachePlaces("none", false); err == nil || !strings.Contains(err.Error(), `write [runners.cache] with Type = "s3"`) {
		t.Errorf("places of a runner without a cache: %v", err)
	}
}

func TestPruneOptions(t *testing.T) {
	for want, f := range map[string]pruneFlags{
		"say what may go":           {dryRun: true},
		`write a time such as "30d`: {filterFlags: filterFlags{olderThan: "30"}},
		"write the id of a project": {filterFlags: filterFlags{project: -1}},
		"write a size":              {maxSize: "many"},
		"write a size such":         {maxSize: "0"},
	} {
		f.output = outputText
		if o, err := f.options(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options of %+v = %+v, %v, want an error with %q", f, o, err, want)
		}
	}
	f := pruneFlags{cacheFlags: cacheFlags{output: outputJSON}, filterFlags: filterFlags{olderThan: "1w", project: 7, key: "npm"}, maxSize: "1.5GiB", dryRun: true}
	o, err := f.options()
	if err != nil || o.OlderThan.Hours() != 168 || o.Project != 7 || o.Key != "npm" || o.MaxSize != 3<<29 || !o.DryRun {
		t.Errorf("options = %+v, %v", o, err)
	}
}

// TestEnsureLifetime: the daemon sets the bucket's rule once, and says once when
// it may not.
func TestEnsureLifetime(t *testing.T) {
	server, _ := startStore(t, miniotest.Options{})
	place := placeOf(config.Runner{Name: "a", Cache: config.Cache{
		Path: "ci", Shared: true, Lifetime: config.Lifetime(36 * time.Hour),
		S3: config.CacheS3{
			ServerAddress: server.Endpoint, BucketName: server.Bucket, AccessKey: server.AccessKey, SecretKey: job.Secret(server.SecretKey),
			AuthenticationType: config.AuthenticateKeys, Insecure: true,
		},
	}})
	core, logs := zapobserver.New(zap.InfoLevel)
	ensure := func(p cachePlace) []string {
		t.Helper()
		b, err := store.Open(p.Store)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ensureLifetime(t.Context(), b, p, zap.New(core))
		if days, err := b.Expiry(t.Context(), "ci/v1/"); p.Store.SecretKey == server.SecretKey && p.Cache.Lifetime > 0 && (err != nil || days != 2) {
			t.Errorf("the bucket deletes caches after %d days (%v), want 2", days, err)
		}
		var lines []string
		for _, e := range logs.TakeAll() {
			lines = append(lines, e.Level.String()+": "+e.Message)
		}
		return lines
	}
	never := place
	never.Cache.Lifetime = 0
	wrong := place
	wrong.Store.SecretKey = "hunter2"
	for _, tt := range []struct {
		name  string
		place cachePlace
		want  []string
	}{
		{"no lifetime", never, nil},
		{"first time", place, []string{"info: the bucket now deletes caches after their lifetime"}},
		{"second time", place, nil},
		{"not allowed", wrong, []string{"warn: the bucket does not delete old caches by itself; allow runnerd to set its lifecycle rule, set one by hand, or run runnerd cache prune now and then"}},
	} {
		if diff := cmp.Diff(tt.want, ensure(tt.place)); diff != "" {
			t.Errorf("%s: log (-want +got):\n%s", tt.name, diff)
		}
	}
}
