package store

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// opAssume names the operation in errors.
const opAssume = "assume role for"

const (
	shortestRole = time.Hour      // what every role permits, and all that one role may have of another
	longestRole  = 12 * time.Hour // what any may
	roleSpare    = 5 * time.Minute
	anewAfter    = time.Minute
)

// assumeLimit returns what holds the number of requests to STS down; nil does not.
func assumeLimit(n int) chan struct{} {
	switch {
	case n < 0:
		return nil
	case n == 0:
		n = 5
	}
	return make(chan struct{}, n)
}

// role returns a keyring of what base is given for assuming arn; without an
// arn, base itself.
func (b *Bucket) role(base *keyring, arn string, limit chan struct{}) *keyring {
	if arn == "" {
		return base
	}
	r := &role{bucket: b, base: base, arn: arn, limit: limit, longest: longestRole}
	return newKeyring(r.assume)
}

// A role is assumed for as long as a URL has to live, if it permits. It has one
// user, a keyring.
type role struct {
	bucket  *Bucket
	base    *keyring
	arn     string
	limit   chan struct{}
	longest time.Duration // that has not been refused yet
}

func (r *role) assume(ctx context.Context, need time.Duration) (keys, error) {
	base, err := r.base.get(ctx, 0)
	if err != nil {
		return keys{}, err
	}
	if r.limit != nil {
		select {
		case r.limit <- struct{}{}:
			defer func() { <-r.limit }()
		case <-ctx.Done():
			return keys{}, ctx.Err()
		}
	}
	life := min(max(need+roleSpare, shortestRole), r.longest)
	v, err := r.ask(ctx, base, life)
	if err != nil && life > shortestRole && tooLong(err) {
		r.longest = shortestRole
		v, err = r.ask(ctx, base, shortestRole)
	}
	if err != nil {
		return keys{}, r.bucket.fail(opAssume, "", explain(err, "role "+r.arn))
	}
	k := keys{Value: v, from: "the role " + r.arn}
	if r.bucket.config.AssumeAnew {
		k.fresh = anewAfter
	}
	return k, nil
}

func (r *role) ask(ctx context.Context, base keys, life time.Duration) (credentials.Value, error) {
	return retrieve(ctx, &credentials.STSAssumeRole{
		Client:      &http.Client{Transport: r.bucket.transport, Timeout: credentialTimeout},
		STSEndpoint: r.bucket.stsAddress(),
		Options: credentials.STSAssumeRoleOptions{
			AccessKey: base.AccessKeyID, SecretKey: base.SecretAccessKey, SessionToken: base.SessionToken,
			Location: r.bucket.stsRegion(), DurationSeconds: int(life / time.Second),
			RoleARN: r.arn, RoleSessionName: "runnerd-cache",
		},
	})
}

// tooLong reports whether STS refused how long a role was asked for.
func tooLong(err error) bool {
	var sts credentials.ErrorResponse
	return errors.As(err, &sts) && (sts.STSError.Code == "ValidationError" || strings.Contains(sts.STSError.Message, "DurationSeconds"))
}

// stsAddress is where roles and web identities are turned into credentials: at
// AWS a service of its own, elsewhere the store itself. AWS_ENDPOINT_URL_STS
// overrules, as it does with AWS's own libraries.
func (b *Bucket) stsAddress() string {
	if custom := os.Getenv("AWS_ENDPOINT_URL_STS"); custom != "" {
		return custom
	}
	if b.config.aws() {
		region := b.stsRegion()
		if strings.HasPrefix(region, "cn-") {
			return "https://sts." + region + ".amazonaws.com.cn"
		}
		return "https://sts." + region + ".amazonaws.com"
	}
	if b.config.Insecure {
		return "http://" + b.config.address()
	}
	return "https://" + b.config.address()
}

func (b *Bucket) stsRegion() string {
	for _, region := range []string{b.config.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")} {
		if region != "" {
			return region
		}
	}
	return "us-east-1"
}
