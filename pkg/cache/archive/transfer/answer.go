package transfer

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxErrorBody is how much is read of what a store says about an error.
const maxErrorBody = 64 << 10

// refused makes an answer that is not the one that was hoped for an error.
func refused(resp *http.Response) *failure {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		body = nil // the status has to do
	}
	var said struct {
		Code    string
		Message string
		Details string // where Google has the reason
	}
	_ = xml.Unmarshal(body, &said) // a proxy answers in HTML, or nothing
	code, retry := judge(resp.StatusCode, said.Code, said.Message+" "+said.Details)
	return &failure{
		code: code, retry: retry, status: resp.StatusCode, s3code: clean(said.Code, 64),
		err: errors.New(cmp.Or(clean(said.Message, 200), clean(said.Details, 200), "the store does not say why")),
	}
}

// judge says what an answer means, and whether another try may help.
func judge(status int, code, message string) (_ Code, retry bool) {
	switch {
	case status == http.StatusPreconditionFailed:
		return Conflict, false
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout,
		status == http.StatusConflict, // S3's ConditionalRequestConflict asks for it
		code == "RequestTimeout", code == "SlowDown":
		return Network, true
	case strings.Contains(code, "Expired"), strings.Contains(strings.ToLower(message), "expired"):
		return Expired, false // AWS, MinIO: AccessDenied, "Request has expired"; temporary credentials: ExpiredToken
	case status == http.StatusForbidden, status == http.StatusUnauthorized, code == "AccessDenied": // MinIO says that with 400, too
		return Denied, false
	case status == http.StatusNotFound:
		return Missing, false
	}
	return Internal, false
}

// clean makes what a store says fit for one line of a log, or nothing if it
// repeats a part of the URL that is a secret.
func clean(s string, limit int) string {
	if lower := strings.ToLower(s); strings.Contains(lower, "x-amz-") || strings.Contains(lower, "signature=") {
		return ""
	}
	s = strings.Join(strings.Fields(s), " ")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
