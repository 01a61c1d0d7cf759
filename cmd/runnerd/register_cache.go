package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/runnerd/runnerd/pkg/config"
)

// cacheFlag begins the flags of [runners.cache] and, with capitals and
// underscores, their environment variables.
const cacheFlag = "cache-"

// A cacheOption is a flag of register that writes one key of the cache. Its name
// is GitLab Runner's.
type cacheOption struct {
	flag, table, key string
	zero             any // of the key's type
	usage            string
}

var cacheOptions = []cacheOption{
	{"cache-type", "cache", "Type", "", "where caches are kept: s3"},
	{"cache-path", "cache", "Path", "", "`prefix` of the caches' object names"},
	{"cache-shared", "cache", "Shared", false, "one cache for all runners that use the bucket"},
	{"cache-maximum-uploaded-archive-size", "cache", "MaxUploadedArchiveSize", int64(0), "largest cache in `bytes`, packed"},
	{"cache-lifetime", "cache", "lifetime", "", "`time` after which the bucket deletes caches, such as 30d"},

	{"cache-s3-server-address", "cache.s3", "ServerAddress", "", "`host:port` of the store (default: AWS)"},
	{"cache-s3-access-key", "cache.s3", "AccessKey", "", "access `key`"},
	{"cache-s3-secret-key", "cache.s3", "SecretKey", "", "secret `key`"},
	{"cache-s3-session-token", "cache.s3", "SessionToken", "", "`token` of temporary credentials"},
	{"cache-s3-bucket-name", "cache.s3", "BucketName", "", "`name` of the bucket"},
	{"cache-s3-bucket-location", "cache.s3", "BucketLocation", "", "`region` of the bucket"},
	{"cache-s3-insecure", "cache.s3", "Insecure", false, "http, not https"},
	{"cache-s3-authentication-type", "cache.s3", "AuthenticationType", "", "access-key or iam"},
	{"cache-s3-server-side-encryption", "cache.s3", "ServerSideEncryption", "", "S3, KMS or DSSE-KMS"},
	{"cache-s3-server-side-encryption-key-id", "cache.s3", "ServerSideEncryptionKeyID", "", "`key` of KMS"},
	{"cache-s3-dual-stack", "cache.s3", "DualStack", false, "IPv6 endpoints of AWS"},
	{"cache-s3-path-style", "cache.s3", "PathStyle", false, "the bucket's name in the path of URLs, not in the host"},
	{"cache-s3-accelerate", "cache.s3", "Accelerate", false, "transfer acceleration of AWS"},
	{"cache-s3-role-arn", "cache.s3", "RoleARN", "", "`role` to assume"},
	{"cache-s3-upload-role-arn", "cache.s3", "UploadRoleARN", "", "`role` to assume for uploads"},
	{"cache-s3-assume-role-max-concurrency", "cache.s3", "AssumeRoleMaxConcurrency", int64(0), "`requests` for a role at the same time"},
	{"cache-s3-disable-assume-role-credentials-caching", "cache.s3", "DisableAssumeRoleCredentialsCaching", false, "do not keep a role's credentials"},
	{"cache-s3-conditional-put", "cache.s3", "conditional_put", "", "auto, on or off"},
	{"cache-s3-ca-file", "cache.s3", "ca_file", "", "`file` with the CA of the store's certificate"},
}

func addCacheFlags(flags *pflag.FlagSet) {
	for _, o := range cacheOptions {
		switch o.zero.(type) {
		case bool:
			flags.Bool(o.flag, false, o.usage)
		case int64:
			flags.Int64(o.flag, 0, o.usage)
		default:
			flags.String(o.flag, "", o.usage)
		}
	}
	// GitLab Runner has this one with an underscore; both are understood.
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if strings.HasPrefix(name, cacheFlag) {
			name = strings.ReplaceAll(name, "_", "-")
		}
		return pflag.NormalizedName(name)
	})
}

// cacheSettings returns the keys that the flags give a value.
func cacheSettings(flags *pflag.FlagSet) ([]config.Setting, error) {
	var settings []config.Setting
	for _, o := range cacheOptions {
		if !flags.Changed(o.flag) {
			continue
		}
		var value any
		var err error
		switch o.zero.(type) {
		case bool:
			value, err = flags.GetBool(o.flag)
		case int64:
			value, err = flags.GetInt64(o.flag)
		default:
			value, err = flags.GetString(o.flag)
		}
		if err != nil {
			return nil, err
		}
		settings = append(settings, config.Setting{Table: o.table, Key: o.key, Value: value})
	}
	return settings, nil
}
