package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// What an [*Error] matches with errors.Is. One that matches none of these is
// an answer that nobody expects.
var (
	ErrNotFound    = errors.New("no such object")
	ErrNoBucket    = errors.New("no such bucket")
	ErrDenied      = errors.New("denied")              // no right to it, wrong or expired credentials, or none
	ErrConflict    = errors.New("condition not met")   // of a conditional Put
	ErrUnreachable = errors.New("store unreachable")   // no answer, or one that says to try later
	ErrUnsupported = errors.New("not supported")       // by this store
	ErrTooLarge    = errors.New("object is too large") // for a Get
)

// An Error is what became of one operation.
type Error struct {
	Op      string // get, put, delete, list, presign, credentials, …
	Bucket  string
	Name    string // of the object; a prefix with list; may be empty
	Status  int    // HTTP; 0 if there was no answer
	Code    string // S3's: AccessDenied, NoSuchBucket, …; may be empty
	Message string // the store's, or what the network says
	Advice  string // what to do; may be empty

	kind  error
	cause error // context's errors, and the network's without their URL
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s s3://%s", e.Op, e.Bucket)
	if e.Name != "" {
		b.WriteString("/" + e.Name)
	}
	b.WriteString(":")
	if e.Status != 0 {
		fmt.Fprintf(&b, " %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		if e.Status != 0 || e.Code != "" {
			b.WriteString(":")
		}
		b.WriteString(" " + e.Message)
	}
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	return b.String()
}

// Unwrap makes an Error match its kind and its cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// fail makes an *Error of what minio-go returned for op.
func (b *Bucket) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	e := &Error{Op: op, Bucket: b.config.Bucket, Name: name}
	if code, status := answer(err); code != "" || status != 0 {
		e.Status, e.Code, e.Message = status, code, clean(err.Error())
		e.kind = kindOf(status, code)
	} else {
		e.cause = withoutURL(err)
		e.Message = clean(e.cause.Error())
		e.kind = kindOfSilence(op, err)
	}
	e.Advice = b.advice(e)
	return e
}

// answer returns what a server said, in S3's words or in STS's; nothing if no
// server said anything.
func answer(err error) (code string, status int) {
	var s3 minio.ErrorResponse
	if errors.As(err, &s3) {
		// Where there was no XML, minio-go puts the status line in Code.
		if strings.ContainsRune(s3.Code, ' ') {
			return "", s3.StatusCode
		}
		return s3.Code, s3.StatusCode
	}
	var sts credentials.ErrorResponse
	if errors.As(err, &sts) {
		return sts.STSError.Code, 0
	}
	return "", 0
}

// kindOfSilence is the kind of an error that is no server's answer.
func kindOfSilence(op string, err error) error {
	var network net.Error // context.DeadlineExceeded is one, and the number of any error of the system
	var file *fs.PathError
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case op == opCredentials && (!errors.As(err, &network) || errors.As(err, &file)):
		return ErrDenied // there are none, or a file of them cannot be read
	}
	return ErrUnreachable
}

func kindOf(status int, code string) error {
	switch code {
	case "NoSuchKey", "NoSuchVersion":
		return ErrNotFound
	case "NoSuchBucket":
		return ErrNoBucket
	case "PreconditionFailed", "ConditionalRequestConflict", "OperationAborted":
		return ErrConflict
	case "NotImplemented", "MethodNotAllowed", "APINotSupported":
		return ErrUnsupported
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidTokenId", "InvalidToken",
		"InvalidClientTokenId", "InvalidIdentityToken", "ExpiredTokenException", "RequestTimeTooSkewed", "AccountProblem", "AllAccessDisabled":
		return ErrDenied
	}
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrDenied
	case status == http.StatusPreconditionFailed:
		return ErrConflict
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		return ErrUnsupported
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return ErrUnreachable
	}
	return nil
}

// withoutURL returns err without the URL of the request, which may be signed.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if strings.Contains(err.Error(), "://") {
		return errors.New("the server closed the connection")
	}
	return err
}

// clean makes foreign text fit for one line of a log.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	const limit = 300
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.TrimSuffix(s, ".")
}

// rights names the permission of each operation, as AWS and MinIO call it.
var rights = map[string]string{
	"get": "s3:GetObject", "put": "s3:PutObject", "delete": "s3:DeleteObject", "list": "s3:ListBucket",
	"lifecycle": "s3:GetLifecycleConfiguration", "set lifecycle": "s3:PutLifecycleConfiguration",
	"look for": "s3:ListBucket", "make": "s3:CreateBucket",
}

func (b *Bucket) advice(e *Error) string {
	switch e.Code {
	case "InvalidAccessKeyId", "InvalidClientTokenId":
		return "the store does not know this access key: check AccessKey"
	case "SignatureDoesNotMatch":
		return "check SecretKey, and BucketLocation if it is set"
	case "ExpiredToken", "ExpiredTokenException", "InvalidTokenId", "InvalidToken":
		return "the temporary credentials are no longer valid: renew them, or let runnerd take them from its surroundings"
	case "RequestTimeTooSkewed":
		return "set this machine's clock"
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "IllegalLocationConstraintException":
		return "set BucketLocation to the bucket's region"
	case "NoSuchBucket":
		return fmt.Sprintf("make the bucket %q, or correct BucketName", b.config.Bucket)
	}
	switch {
	case errors.Is(e, ErrDenied) && rights[e.Op] != "":
		return fmt.Sprintf("allow %s on the bucket %q to the credentials in use", rights[e.Op], b.config.Bucket)
	case errors.Is(e, ErrDenied) && e.Op == opAssume:
		return "allow sts:AssumeRole on the role to the credentials in use, and them in the role's trust policy"
	case errors.Is(e, ErrDenied) && e.Op == opCredentials && e.Code == "":
		return "set AccessKey and SecretKey, or give runnerd's pod a role"
	case errors.Is(e, ErrUnreachable) && e.Status == 0 && e.Code == "":
		return b.networkAdvice(e.cause)
	}
	return ""
}

func (b *Bucket) networkAdvice(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var dns *net.DNSError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "name the file of the authority that signed the store's certificate in ca_file"
	case errors.As(err, &host):
		return "the certificate is for another name: check ServerAddress and PathStyle"
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the store speaks http: set Insecure = true, or correct the port in ServerAddress"
	case errors.As(err, &dns):
		return fmt.Sprintf("check ServerAddress %q and this machine's DNS", b.config.address())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s does not answer in time", b.config.address())
	}
	return fmt.Sprintf("check that %s can be reached from here", b.config.address())
}
