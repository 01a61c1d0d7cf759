package store

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// A Config says where a bucket is and how to get in.
type Config struct {
	Address  string // host[:port], without a scheme; "" means AWS
	Bucket   string
	Region   string // "" means asked for, and us-east-1 where the store does not tell
	Insecure bool   // http, not https

	PathStyle  PathStyle
	DualStack  bool // AWS: its IPv6 endpoints
	Accelerate bool // AWS: transfer acceleration

	// Static credentials. Without AccessKey, or with Ambient, they are taken
	// from where the process runs: the environment, a web identity, AWS's shared
	// file, the container's or the machine's role, in this order.
	AccessKey    string
	SecretKey    string
	SessionToken string
	Ambient      bool

	// RoleARN is assumed for everything. UploadRoleARN is assumed instead for
	// presigned PUTs. Both start from the credentials above.
	RoleARN           string
	UploadRoleARN     string
	AssumeConcurrency int  // requests to STS at once; 0 means 5, less than 0 no limit
	AssumeAnew        bool // keep assumed credentials for a minute at most, not for as long as they are good

	Encryption Encryption
	KMSKey     string // of EncryptKMS and EncryptDSSE; "" means the bucket's own

	// Headers are sent with every PUT, the daemon's and the pods', and are
	// signed: x-amz-storage-class, x-amz-acl or x-amz-server-side-encryption-context,
	// for example.
	Headers map[string]string

	ConditionalPut ConditionalPut
	CAFile         string // PEM; trusted in addition to the system's authorities
}

// PathStyle says where a bucket's name goes in a URL.
type PathStyle int

// The styles.
const (
	PathAuto    PathStyle = iota // in the host with AWS and Google, in the path elsewhere
	PathAlways                   // https://host/bucket/object
	VirtualHost                  // https://bucket.host/object
)

// Encryption is what the store is asked to encrypt objects with.
type Encryption int

// The encryptions.
const (
	EncryptNone Encryption = iota // what the bucket does by itself
	EncryptS3                     // SSE-S3: the store's own keys
	EncryptKMS                    // SSE-KMS
	EncryptDSSE                   // DSSE-KMS: two layers
)

// ConditionalPut says whether the store can be trusted to refuse a PUT whose
// condition does not hold (If-None-Match, If-Match).
type ConditionalPut int

// The choices.
const (
	ConditionalAuto ConditionalPut = iota // yes, except with Google, which has a header of its own for it
	ConditionalOn
	ConditionalOff
)

// awsAddress stands for all of AWS: the region's own host is derived from it.
const awsAddress = "s3.amazonaws.com"

// String says where the bucket is.
func (c Config) String() string { return fmt.Sprintf("s3://%s at %s", c.Bucket, c.address()) }

// Format prints String, and nothing of how to get in, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

func (c Config) address() string {
	if c.Address == "" {
		return awsAddress
	}
	return c.Address
}

// host is the address without its port.
func (c Config) host() string {
	if h, _, err := net.SplitHostPort(c.address()); err == nil {
		return h
	}
	return c.address()
}

func (c Config) aws() bool {
	h := c.host()
	return strings.HasSuffix(h, ".amazonaws.com") || strings.HasSuffix(h, ".amazonaws.com.cn")
}

func (c Config) google() bool { return strings.HasSuffix(c.host(), ".googleapis.com") }

func (c Config) conditional() bool {
	switch c.ConditionalPut {
	case ConditionalOn:
		return true
	case ConditionalOff:
		return false
	}
	return !c.google()
}

// Validate returns all that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Bucket == "" {
		errs = append(errs, errors.New("no bucket: name the one that caches are stored in"))
	}
	if strings.Contains(c.Address, "/") {
		errs = append(errs, fmt.Errorf("address %q: write host or host:port, without a scheme or path", c.Address))
	}
	if c.AccessKey != "" && !c.Ambient && c.SecretKey == "" {
		errs = append(errs, errors.New("an access key without its secret key"))
	}
	for name := range c.Headers {
		if err := checkHeader(name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkHeader refuses what would break a signature or change what a request
// means. S3 wants every x-amz header signed, and signs no other for certain.
func checkHeader(name string) error {
	lower := strings.ToLower(name)
	if !strings.HasPrefix(lower, "x-amz-") {
		return fmt.Errorf("header %q: only x-amz headers can be signed into an upload", name)
	}
	reserved := []string{"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-expires", "x-amz-signedheaders"}
	if slices.Contains(reserved, lower) || strings.HasPrefix(lower, "x-amz-server-side-encryption-customer-") {
		return fmt.Errorf("header %q: it belongs to the signature, or holds a key that must not reach a pod", name)
	}
	return nil
}

// uploadHeaders are those of every PUT, without the condition.
func (c Config) uploadHeaders() http.Header {
	h := make(http.Header)
	switch c.Encryption {
	case EncryptS3:
		h.Set(headerEncryption, "AES256")
	case EncryptKMS:
		h.Set(headerEncryption, "aws:kms")
	case EncryptDSSE:
		h.Set(headerEncryption, "aws:kms:dsse")
	}
	if c.KMSKey != "" && (c.Encryption == EncryptKMS || c.Encryption == EncryptDSSE) {
		h.Set(headerKMSKey, c.KMSKey)
	}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	return h
}

const (
	headerEncryption = "X-Amz-Server-Side-Encryption"
	headerKMSKey     = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
)
