package config

import "testing"

const cacheEntry = entry + "[runners.kubernetes]\nnamespace = \"ci\"\n[runners.cache]\n" // the cache's keys follow on line 9

func TestCacheKeys(t *testing.T) {
	c, warnings, err := Parse("config.toml", []byte(cacheEntry+`type = "s3"
lifetime = "30d"
force_separate = true
unprotected_reads_protected = true
compression_level = "default"
sweep = false
[runners.cache.s3]
BucketName = "b"
conditional_put = "off"
ca_file = "/ca.pem"
[runners.cache.s3.headers]
x-amz-storage-class = "REDUCED_REDUNDANCY"
`))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: %v, warnings %v", err, warnings)
	}
	got := c.Runners[0].Cache
	if got.Lifetime.Days() != 30 || !got.ForceSeparate || !got.UnprotectedReadsProtected || got.Sweep || got.CompressionLevel != CompressionDefault {
		t.Errorf("cache = %+v", got)
	}
	if got.S3.ConditionalPut != ConditionalOff || got.S3.CAFile != "/ca.pem" || got.S3.Headers["x-amz-storage-class"] != "REDUCED_REDUNDANCY" {
		t.Errorf("cache.s3 = %+v", got.S3)
	}
}

func TestCacheDefaults(t *testing.T) {
	c, _, err := Parse("config.toml", []byte(cacheEntry+"Type = \"s3\"\n[runners.cache.s3]\nBucketName = \"b\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Runners[0].Cache
	if !got.Sweep || got.CompressionLevel != CompressionFastest || got.Lifetime != 0 || got.S3.ConditionalPut != ConditionalAuto || got.S3.AuthenticationType != AuthenticateIAM {
		t.Errorf("cache = %+v", got)
	}
}

func TestCacheProblems(t *testing.T) {
	tests := []struct {
		name, text, want string // what the one problem says
	}{
		{"lifetime without a unit", "lifetime = \"30\"\n", `config.toml:9: runners[0].cache.lifetime: "30" is no time that a cache can live; write days or weeks in quotes, such as "30d"`},
		{"lifetime as a number", "lifetime = 30\n", `config.toml:9: runners[0].cache.lifetime: is a whole number; write days or weeks in quotes, such as "30d"`},
		{"lifetime too short", "Shared = true\nlifetime = \"12h\"\n", `config.toml:10: runners[0].cache.lifetime: "12h" is too short: stores count days; write 1d or more`},
		{"lifetime too long", "lifetime = \"999w\"\n", `config.toml:9: runners[0].cache.lifetime: "999w" is too long; write 3650d at most, or 0 for no end`},
		{"negative size", "MaxUploadedArchiveSize = -1\n", `config.toml:9: runners[0].cache.MaxUploadedArchiveSize: -1 is too small; write 0 or more`},
		{"level", "compression_level = \"fast\"\n", `config.toml:9: runners[0].cache.compression_level: "fast"; write one of fastest, default`},
		{"path", "Path = \"a/../../b\"\n", `config.toml:9: runners[0].cache.Path: "a/../../b" leads out of itself; write a prefix such as "ci/caches"`},
		{"no bucket", "Type = \"s3\"\n", `config.toml:8: runners[0].cache.s3.BucketName: missing; name the bucket that caches are stored in`},
		{"conditional", "Type = \"s3\"\ns3.BucketName = \"b\"\ns3.conditional_put = \"yes\"\n", `config.toml:11: runners[0].cache.s3.conditional_put: "yes"; write one of auto, on, off`},
		{"header of the signature", "Type = \"s3\"\ns3.BucketName = \"b\"\ns3.headers = { x-amz-date = \"a\" }\n", `config.toml:11: runners[0].cache.s3.headers.x-amz-date: no header that can be signed into uploads; write one that begins with x-amz- and acl, grant-, meta-, object-lock-, request-payer, server-side-encryption, storage-class, tagging`},
		{"key in a header", "Type = \"s3\"\ns3.BucketName = \"b\"\ns3.headers = { X-Amz-Server-Side-Encryption-Customer-Key = \"a\" }\n", `config.toml:11: runners[0].cache.s3.headers.X-Amz-Server-Side-Encryption-Customer-Key: a key of one's own would have to be in every job's pod; use ServerSideEncryption = "KMS"`},
		{"two lines in a header", "Type = \"s3\"\ns3.BucketName = \"b\"\ns3.headers = { x-amz-acl = \"a\\nb\" }\n", `config.toml:11: runners[0].cache.s3.headers.x-amz-acl: the value has more than one line; write one`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Parse("config.toml", []byte(cacheEntry+tt.text))
			if err == nil || err.Error() != tt.want {
				t.Errorf("problem:\n%v\nwant:\n%s", err, tt.want)
			}
		})
	}
}

func TestCacheWarnings(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"no type", "[runners.cache.s3]\nBucketName = \"b\"\n", `config.toml:8: runners[0].cache: no caches: Type is missing; write Type = "s3" for the bucket "b"`},
		{"google", "Type = \"gcs\"\n", `config.toml:9: runners[0].cache.Type: no caches: runnerd stores them in S3 or a store that speaks its protocol, not in "gcs"; Google's buckets speak it too: write Type = "s3", ServerAddress = "storage.googleapis.com" and an HMAC key`},
		{"azure", "Type = \"azure\"\n", `config.toml:9: runners[0].cache.Type: no caches: runnerd stores them in S3 or a store that speaks its protocol, not in "azure"`},
		{"keys that are not used", "Type = \"s3\"\ns3.BucketName = \"b\"\ns3.AccessKey = \"a\"\ns3.SecretKey = \"b\"\n", `config.toml:11: runners[0].cache.s3.AccessKey: not used, as with GitLab Runner, since there is no ServerAddress: the credentials are taken from runnerd's surroundings; write AuthenticationType = "access-key" to use the keys`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := Parse("config.toml", []byte(cacheEntry+tt.text))
			if err != nil || len(warnings) != 1 || warnings[0].String() != tt.want {
				t.Errorf("warnings %v, error %v\nwant %s", warnings, err, tt.want)
			}
		})
	}
}
