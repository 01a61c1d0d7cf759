package config

import "github.com/runnerd/runnerd/pkg/job"

// Cache says where caches are kept. Its keys are written in CamelCase.
type Cache struct {
	Type                        string  `toml:"Type"`                   // "s3"; "" means no caches
	Path                        string  `toml:"Path"`                   // prefix of object names
	Shared                      bool    `toml:"Shared"`                 // one cache for all runners: no runner/<short token> in object names
	MaxUploadedArchiveSizeBytes int64   `toml:"MaxUploadedArchiveSize"` // 0 means no limit
	S3                          CacheS3 `toml:"s3"`
}

// CacheS3 is a bucket of an S3-compatible store.
type CacheS3 struct {
	ServerAddress                       string         `toml:"ServerAddress"` // host[:port]; "s3.amazonaws.com"
	AccessKey                           string         `toml:"AccessKey"`
	SecretKey                           job.Secret     `toml:"SecretKey"`
	SessionToken                        job.Secret     `toml:"SessionToken"`
	BucketName                          string         `toml:"BucketName"`
	BucketLocation                      string         `toml:"BucketLocation"`            // region; "" means looked up
	Insecure                            bool           `toml:"Insecure"`                  // http, not https
	AuthenticationType                  string         `toml:"AuthenticationType"`        // access-key or iam; "" is replaced: access-key with address and both keys, else iam
	ServerSideEncryption                string         `toml:"ServerSideEncryption"`      // S3, KMS or DSSE-KMS, or AWS's own names of them
	ServerSideEncryptionKeyID           string         `toml:"ServerSideEncryptionKeyID"` // of KMS
	DualStack                           Optional[bool] `toml:"DualStack"`                 // IPv6 endpoints of AWS; not set means true
	PathStyle                           Optional[bool] `toml:"PathStyle"`                 // not set: unless the host is AWS's or Google's
	Accelerate                          bool           `toml:"Accelerate"`
	RoleARN                             string         `toml:"RoleARN"`
	UploadRoleARN                       string         `toml:"UploadRoleARN"`
	AssumeRoleMaxConcurrency            int            `toml:"AssumeRoleMaxConcurrency"` // 5; -1 means no limit
	DisableAssumeRoleCredentialsCaching bool           `toml:"DisableAssumeRoleCredentialsCaching"`
}
