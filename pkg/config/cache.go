package config

import "github.com/runnerd/runnerd/pkg/job"

// Cache says where caches are kept. GitLab Runner's keys are written in
// CamelCase, runnerd's own with underscores.
type Cache struct {
	Type                        string `toml:"Type"`                   // "s3"; "" means no caches
	Path                        string `toml:"Path"`                   // prefix of object names
	Shared                      bool   `toml:"Shared"`                 // one cache for all runners: no runner/<short token> in object names
	MaxUploadedArchiveSizeBytes int64  `toml:"MaxUploadedArchiveSize"` // of one cache, packed; 0 means 5 GiB

	Lifetime                  Lifetime `toml:"lifetime"`                    // the bucket deletes objects of this age; 0 means never
	Sweep                     bool     `toml:"sweep"`                       // delete what no cache uses any more, once a day; true
	CompressionLevel          string   `toml:"compression_level"`           // fastest or default; "" means fastest
	ForceSeparate             bool     `toml:"force_separate"`              // protected refs have caches of their own, whatever the project says
	UnprotectedReadsProtected bool     `toml:"unprotected_reads_protected"` // jobs of other refs may restore the caches of protected ones
	S3                        CacheS3  `toml:"s3"`
}

// The compression levels of a cache.
const (
	CompressionFastest = "fastest"
	CompressionDefault = "default"
)

// CacheS3 is a bucket of an S3-compatible store.
type CacheS3 struct {
	ServerAddress                       string         `toml:"ServerAddress"`                       // host[:port]; "s3.amazonaws.com"
	AccessKey                           string         `toml:"AccessKey"`                           // without keys runnerd's surroundings are asked: environment, web identity, the node's role
	SecretKey                           job.Secret     `toml:"SecretKey"`                           // goes with AccessKey
	SessionToken                        job.Secret     `toml:"SessionToken"`                        // of temporary keys
	BucketName                          string         `toml:"BucketName"`                          // has to be set for Type = "s3"
	BucketLocation                      string         `toml:"BucketLocation"`                      // region; "" means looked up
	Insecure                            bool           `toml:"Insecure"`                            // http, not https
	AuthenticationType                  string         `toml:"AuthenticationType"`                  // access-key or iam; "" is replaced: access-key with address and both keys, else iam
	ServerSideEncryption                string         `toml:"ServerSideEncryption"`                // S3, KMS or DSSE-KMS, or AWS's own names of them
	ServerSideEncryptionKeyID           string         `toml:"ServerSideEncryptionKeyID"`           // of KMS
	DualStack                           Optional[bool] `toml:"DualStack"`                           // IPv6 endpoints of AWS; not set means true
	PathStyle                           Optional[bool] `toml:"PathStyle"`                           // not set: unless the host is AWS's or Google's
	Accelerate                          bool           `toml:"Accelerate"`                          // transfer acceleration of AWS
	RoleARN                             string         `toml:"RoleARN"`                             // a role to assume for all access
	UploadRoleARN                       string         `toml:"UploadRoleARN"`                       // a role to assume for uploads
	AssumeRoleMaxConcurrency            int            `toml:"AssumeRoleMaxConcurrency"`            // 5; -1 means no limit
	DisableAssumeRoleCredentialsCaching bool           `toml:"DisableAssumeRoleCredentialsCaching"` // ask for a role's credentials anew each time

	ConditionalPut string            `toml:"conditional_put"` // auto, on or off; "" means auto: unless the store is Google's
	CAFile         string            `toml:"ca_file"`         // PEM; trusted in addition to the system's authorities
	Headers        map[string]string `toml:"headers"`         // x-amz headers of every upload; jobs can read them
}

// The choices of CacheS3.ConditionalPut and CacheS3.AuthenticationType.
const (
	ConditionalAuto = "auto"
	ConditionalOn   = "on"
	ConditionalOff  = "off"

	AuthenticateKeys = "access-key"
	AuthenticateIAM  = "iam"
)
