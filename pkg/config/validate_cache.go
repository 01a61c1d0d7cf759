package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *Cache) validate(r *report, at string) {
	atLeast(r, at+".MaxUploadedArchiveSize", c.MaxUploadedArchiveSizeBytes, 0)
	oneOf(r, at+".compression_level", c.CompressionLevel, CompressionFastest, CompressionDefault)
	if slices.Contains(strings.Split(c.Path, "/"), "..") {
		r.problem(at+".Path", "%q leads out of itself; write a prefix such as \"ci/caches\"", c.Path)
	}
	switch c.Type {
	case "":
		if c.S3.BucketName != "" {
			r.warn(at, `no caches: Type is missing; write Type = "s3" for the bucket %q`, c.S3.BucketName)
		}
	case "s3":
		c.S3.validate(r, at+".s3")
	case "gcs", "azure":
		r.warn(at+".Type", "no caches: runnerd stores them in S3 or a store that speaks its protocol, not in %q%s", c.Type, instead(c.Type))
	default:
		r.problem(at+".Type", `%q; write "s3", or take the table out for no caches`, c.Type)
	}
}

// instead says how the bucket of another store can be reached all the same.
func instead(store string) string {
	if store == "gcs" {
		return `; Google's buckets speak it too: write Type = "s3", ServerAddress = "storage.googleapis.com" and an HMAC key`
	}
	return ""
}

func (s *CacheS3) validate(r *report, at string) {
	if s.BucketName == "" {
		r.problem(at+".BucketName", "missing; name the bucket that caches are stored in")
	}
	if strings.Contains(s.ServerAddress, "/") {
		r.problem(at+".ServerAddress", "%q; write host[:port] without a scheme and path, and Insecure = true for http", redacted(s.ServerAddress))
	}
	s.validateAuthentication(r, at)
	s.validateEncryption(r, at)
	s.validateHeaders(r, at+".headers")
	oneOf(r, at+".conditional_put", s.ConditionalPut, ConditionalAuto, ConditionalOn, ConditionalOff)
	atLeast(r, at+".AssumeRoleMaxConcurrency", int64(s.AssumeRoleMaxConcurrency), -1)
}

func (s *CacheS3) validateAuthentication(r *report, at string) {
	oneOf(r, at+".AuthenticationType", s.AuthenticationType, AuthenticateKeys, AuthenticateIAM)
	if s.AuthenticationType == AuthenticateKeys && (s.AccessKey == "" || s.SecretKey == "") {
		r.problem(at+".AuthenticationType", `"access-key" needs AccessKey and SecretKey; write both`)
	}
	if (s.AccessKey == "") != (s.SecretKey == "") {
		r.problem(at+".AccessKey", "AccessKey and SecretKey belong together; write both or neither")
	}
	if s.AccessKey != "" && s.AuthenticationType == "" && s.ServerAddress == "" {
		r.warn(at+".AccessKey", `not used, as with GitLab Runner, since there is no ServerAddress: the credentials are taken from runnerd's surroundings; write AuthenticationType = "access-key" to use the keys`)
	}
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

// validateHeaders accepts what can be part of a signature and changes nothing
// of the upload but how the store keeps it.
func (s *CacheS3) validateHeaders(r *report, at string) {
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		if why := unfitHeader(strings.ToLower(name)); why != "" {
			r.problem(joinPath(at, name), "%s", why)
		}
		if strings.ContainsAny(s.Headers[name], "\r\n\x00") {
			r.problem(joinPath(at, name), "the value has more than one line; write one")
		}
	}
}

func unfitHeader(name string) string {
	const prefix = "x-amz-"
	allowed := []string{"acl", "grant-", "meta-", "object-lock-", "request-payer", "server-side-encryption", "storage-class", "tagging"}
	rest, ok := strings.CutPrefix(name, prefix)
	fits := ok && slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(rest, a) })
	switch {
	case strings.HasPrefix(rest, "server-side-encryption-customer-"):
		return "a key of one's own would have to be in every job's pod; use ServerSideEncryption = \"KMS\""
	case !fits:
		return fmt.Sprintf("no header that can be signed into uploads; write one that begins with %s and %s", prefix, strings.Join(allowed, ", "))
	}
	return ""
}
