package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// opCredentials names the operation in errors.
const opCredentials = "credentials for"

// credentialTimeout bounds one question for credentials.
const credentialTimeout = 15 * time.Second

// Credentials say what a Bucket signs with.
type Credentials struct {
	From    string    // for people: static keys, the environment, a role, …
	Expire  time.Time // zero: they do not
	Uploads bool      // they are those of UploadRoleARN
}

// Credentials returns what the bucket signs with: first for everything, then,
// with UploadRoleARN, for presigned PUTs.
func (b *Bucket) Credentials(ctx context.Context) ([]Credentials, error) {
	var list []Credentials
	for _, a := range b.accesses() {
		k, err := b.keys(ctx, a, 0)
		if err != nil {
			return list, err
		}
		list = append(list, Credentials{From: k.from, Expire: k.Expiration, Uploads: a != b.main})
	}
	return list, nil
}

// CredentialsExpire returns when the first of the bucket's credentials expire;
// a presigned URL dies with what it was signed with. It reports false if they
// do not expire, or if there are none: then the next operation says why.
// Presigning asks for credentials that are good for as long as the URL.
func (b *Bucket) CredentialsExpire(ctx context.Context) (time.Time, bool) {
	list, err := b.Credentials(ctx)
	if err != nil {
		return time.Time{}, false
	}
	var first time.Time
	for _, c := range list {
		if !c.Expire.IsZero() && (first.IsZero() || c.Expire.Before(first)) {
			first = c.Expire
		}
	}
	return first, !first.IsZero()
}

func (b *Bucket) accesses() []*access {
	if b.upload == b.main {
		return []*access{b.main}
	}
	return []*access{b.main, b.upload}
}

// keys returns a's credentials, good for need if possible.
func (b *Bucket) keys(ctx context.Context, a *access, need time.Duration) (keys, error) {
	k, err := a.keys.get(ctx, need)
	if err != nil {
		return keys{}, b.fail(opCredentials, "", err)
	}
	return k, nil
}

// client returns what to send requests with, after seeing to its credentials.
func (b *Bucket) client(ctx context.Context, a *access, need time.Duration) (*access, error) {
	_, err := b.keys(ctx, a, need)
	return a, err
}

// ambientOrStatic is the source that every role starts from.
func (b *Bucket) ambientOrStatic() source {
	c := b.config
	if c.AccessKey == "" || c.Ambient {
		return b.ambient
	}
	from := "the access key of the configuration"
	if c.SessionToken != "" {
		from += ", which is a temporary one"
	}
	return func(context.Context, time.Duration) (keys, error) {
		return keys{Value: credentials.Value{
			AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken,
			SignerType: credentials.SignatureV4,
		}, from: from}, nil
	}
}

// fileFresh is how long AWS's shared file is believed: others rewrite it.
const fileFresh = 5 * time.Minute

// ambient takes credentials from where the process runs, in the order in which
// AWS's own libraries do. What is clearly meant has to work: a web identity that
// is refused is an error, not a reason to try the machine's role.
func (b *Bucket) ambient(ctx context.Context, _ time.Duration) (keys, error) {
	if k, ok := fromEnvironment(); ok {
		return k, nil
	}
	if os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
		client := &http.Client{Transport: b.transport, Timeout: credentialTimeout}
		v, err := retrieve(ctx, &credentials.IAM{Client: client, Endpoint: b.stsAddress(), Region: b.config.Region})
		return keys{Value: v, from: "the web identity " + os.Getenv("AWS_ROLE_ARN")}, explain(err, "web identity")
	}
	v, errFile := retrieve(ctx, &credentials.FileAWSCredentials{})
	if errFile == nil {
		return keys{Value: v, from: "AWS's shared credentials file", fresh: fileFresh}, nil
	}
	if os.Getenv("AWS_EC2_METADATA_DISABLED") == "true" && os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") == "" && os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") == "" {
		return keys{}, noCredentials(errors.New("AWS_EC2_METADATA_DISABLED is set"))
	}
	client := &http.Client{Transport: metadataTransport(), Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	v, err := retrieve(ctx, &credentials.IAM{Client: client, Endpoint: os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")})
	if err != nil {
		return keys{}, noCredentials(err)
	}
	return keys{Value: v, from: "the role of this container or machine"}, nil
}

func fromEnvironment() (keys, bool) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := os.Getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	id, secret := first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
	if id == "" || secret == "" {
		return keys{}, false
	}
	return keys{Value: credentials.Value{
		AccessKeyID: id, SecretAccessKey: secret, SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		SignerType: credentials.SignatureV4,
	}, from: "AWS_ACCESS_KEY_ID in the environment"}, true
}

// retrieve asks a provider of minio-go once, with the caller's context.
func retrieve(ctx context.Context, p credentials.Provider) (credentials.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, credentialTimeout)
	defer cancel()
	v, err := p.RetrieveWithCredContext(&credentials.CredContext{Context: ctx})
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errors.New("the answer holds no keys")
	}
	return v, err
}

// metadataTransport is for addresses of this host and network, never through a proxy.
func metadataTransport() *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, DisableKeepAlives: true}
}

func noCredentials(last error) error {
	// Not wrapped: that the machine has no such service is no network's error.
	return errors.New("none in the environment (AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE), none in AWS's shared file, none from this container or machine (" + withoutURL(last).Error() + ")")
}

func explain(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
