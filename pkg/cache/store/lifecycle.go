package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
)

// A lifecycle is a bucket's rules. Those of others are kept as the store wrote
// them: minio-go's own types would drop what they do not know, a second
// transition for example.
type lifecycle struct {
	XMLName xml.Name `xml:"LifecycleConfiguration"`
	Rules   []rule   `xml:"Rule"`

	// AWS keeps this beside the rules, and forgets it unless it is sent again.
	minimumSize string
}

const headerMinimumSize = "X-Amz-Transition-Default-Minimum-Object-Size"

// A rule is what has to be understood of one, and all of it as it came.
type rule struct {
	ID     string `xml:"ID"`
	Status string `xml:"Status"`
	Prefix string `xml:"Prefix"` // in old rules
	Filter struct {
		Prefix string `xml:"Prefix"`
	} `xml:"Filter"`
	Expiration struct {
		Days int `xml:"Days"`
	} `xml:"Expiration"`
	Inner []byte `xml:",innerxml"`
}

// days returns what runnerd's own rule for prefix says; 0 without one.
func (l lifecycle) days(prefix string) int {
	for _, r := range l.Rules {
		if r.ID == ruleID(prefix) && r.Status == "Enabled" && (r.Filter.Prefix == prefix || r.Prefix == prefix) {
			return r.Expiration.Days
		}
	}
	return 0
}

// with returns l with runnerd's own rule for prefix in the place of a former one.
func (l lifecycle) with(prefix string, days int) lifecycle {
	next := lifecycle{minimumSize: l.minimumSize}
	for _, r := range l.Rules {
		if r.ID != ruleID(prefix) {
			next.Rules = append(next.Rules, r)
		}
	}
	next.Rules = append(next.Rules, rule{Inner: ownRule(prefix, days)})
	return next
}

// ruleID depends on the prefix alone, so that another lifetime replaces the rule.
func ruleID(prefix string) string {
	sum := sha256.Sum256([]byte(prefix))
	return "runnerd-cache-" + hex.EncodeToString(sum[:6])
}

func ownRule(prefix string, days int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<ID>%s</ID><Status>Enabled</Status><Filter><Prefix>", ruleID(prefix))
	// A bytes.Buffer takes everything.
	_ = xml.EscapeText(&b, []byte(prefix))
	fmt.Fprintf(&b, "</Prefix></Filter><Expiration><Days>%d</Days></Expiration>", days)
	b.WriteString("<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>")
	b.WriteString("<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>")
	return b.Bytes()
}

func (l lifecycle) encode() []byte {
	var b bytes.Buffer
	b.WriteString(`<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, r := range l.Rules {
		b.WriteString("<Rule>")
		b.Write(r.Inner)
		b.WriteString("</Rule>")
	}
	b.WriteString("</LifecycleConfiguration>")
	return b.Bytes()
}

func (b *Bucket) lifecycle(ctx context.Context) (lifecycle, error) {
	const op = "lifecycle"
	body, header, err := b.lifecycleRequest(ctx, op, http.MethodGet, nil, nil)
	var e *Error
	if errors.As(err, &e) && e.Code == "NoSuchLifecycleConfiguration" {
		return lifecycle{}, nil
	}
	if err != nil {
		return lifecycle{}, err
	}
	var l lifecycle
	if err := xml.Unmarshal(body, &l); err != nil {
		return lifecycle{}, &Error{Op: op, Bucket: b.config.Bucket, Message: "the rules cannot be read: " + clean(err.Error()), kind: ErrUnsupported}
	}
	l.minimumSize = header.Get(headerMinimumSize)
	return l, nil
}

func (b *Bucket) setLifecycle(ctx context.Context, l lifecycle) error {
	body := l.encode()
	sum := md5.Sum(body)
	h := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}
	if l.minimumSize != "" {
		h.Set(headerMinimumSize, l.minimumSize)
	}
	_, _, err := b.lifecycleRequest(ctx, "set lifecycle", http.MethodPut, h, body)
	return err
}

// lifecycleRequest sends the one kind of request that minio-go has no raw form
// of, and repeats it as minio-go would.
func (b *Bucket) lifecycleRequest(ctx context.Context, op, method string, h http.Header, body []byte) ([]byte, http.Header, error) {
	for try := 1; ; try++ {
		data, header, err := b.lifecycleTry(ctx, op, method, h, body)
		if try == tries || !errors.Is(err, ErrUnreachable) {
			return data, header, err
		}
		select {
		case <-time.After(time.Duration(try) * 500 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, err
		}
	}
}

// lifecycleTry signs a URL for a minute, which goes nowhere else.
func (b *Bucket) lifecycleTry(ctx context.Context, op, method string, h http.Header, body []byte) ([]byte, http.Header, error) {
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		return nil, nil, err
	}
	u, err := a.client.PresignHeader(ctx, method, b.config.Bucket, "", time.Minute, url.Values{"lifecycle": {""}}, h)
	if err != nil {
		return nil, nil, b.fail(op, "", err)
	}
	status, data, header, err := b.send(ctx, method, u.String(), h, body)
	if err != nil {
		return nil, nil, b.fail(op, "", err)
	}
	if status/100 != 2 {
		return nil, nil, b.fail(op, "", refusal(status, data))
	}
	return data, header, nil
}

// send sends a request to a presigned URL, as a pod would: without minio-go and
// without credentials.
func (b *Bucket) send(ctx context.Context, method, url string, h http.Header, body []byte) (status int, data []byte, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for name, values := range h {
		req.Header[name] = values
	}
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	const limit = 1 << 20 // more than S3's largest document of rules
	data, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return resp.StatusCode, data, resp.Header, err
}

// refusal reads S3's error document.
func refusal(status int, body []byte) error {
	var e minio.ErrorResponse
	if xml.Unmarshal(body, &e) != nil {
		e = minio.ErrorResponse{Message: http.StatusText(status)}
	}
	e.StatusCode = status
	return e
}
