package config

import "strings"

func (c *Cache) validate(r *report, at string) {
	atLeast(r, at+".MaxUploadedArchiveSize", c.MaxUploadedArchiveSizeBytes, 0)
	switch c.Type {
	case "":
	case "s3":
		c.S3.validate(r, at+".s3")
	case "gcs", "azure":
		r.warn(at+".Type", "no caches: runnerd stores them in S3 or a store that speaks its protocol, not in %q", c.Type)
	default:
		r.problem(at+".Type", `%q; write "s3", or take the table out for no caches`, c.Type)
	}
}

func (s *CacheS3) validate(r *report, at string) {
	if s.BucketName == "" {
		r.problem(at+".BucketName", "missing; name the bucket that caches are stored in")
	}
	if strings.Contains(s.ServerAddress, "/") {
		r.problem(at+".ServerAddress", "%q; write host[:port] without a scheme and path, and Insecure = true for http", redacted(s.ServerAddress))
	}
	oneOf(r, at+".AuthenticationType", s.AuthenticationType, "access-key", "iam")
	if s.AuthenticationType == "access-key" && (s.AccessKey == "" || s.SecretKey == "") {
		r.problem(at+".AuthenticationType", `"access-key" needs AccessKey and SecretKey; write both`)
	}
	if (s.AccessKey == "") != (s.SecretKey == "") {
		r.problem(at+".AccessKey", "AccessKey and SecretKey belong together; write both or neither")
	}
	s.validateEncryption(r, at)
	atLeast(r, at+".AssumeRoleMaxConcurrency", int64(s.AssumeRoleMaxConcurrency), -1)
}

// validateEncryption warns about a value that nobody knows, as GitLab Runner
// does; nothing is encrypted then.
func (s *CacheS3) validateEncryption(r *report, at string) {
	switch s.ServerSideEncryption {
	case "", "S3", "AES256":
	case "KMS", "aws:kms", "DSSE-KMS", "aws:kms:dsse":
		if s.ServerSideEncryptionKeyID == "" {
			r.warn(at+".ServerSideEncryptionKeyID", "missing; the bucket's default key encrypts the caches")
		}
	default:
		r.warn(at+".ServerSideEncryption", `%q is unknown, caches are not encrypted by the store; write "S3", "KMS" or "DSSE-KMS"`, s.ServerSideEncryption)
	}
}
