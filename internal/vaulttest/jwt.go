package vaulttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Sign makes a JWT that the server's auth method accepts as GitLab's.
func (s *Server) Sign(claims map[string]any) string {
	s.t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(body)
	hash := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, hash[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return text + "." + encode(signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// login is the auth method jwt's.
func (s *Server) login(w http.ResponseWriter, r *http.Request, mount string) {
	var body struct {
		Role string `json:"role"`
		JWT  string `json:"jwt"`
	}
	if r.Method != http.MethodPost || mount != s.auth {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if decoder.Decode(&body) != nil {
		refuse(w, http.StatusBadRequest, "failed to parse JSON input")
		return
	}
	role, ok := s.roles[body.Role]
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("role %q could not be found", body.Role))
		return
	}
	if err := s.verify(body.JWT, role); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	token := "hvs." + rand.Text()
	s.tokens[token] = role
	answer(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": 3600, "renewable": true}})
}

func (s *Server) verify(token string, role Role) error {
	text, signature, ok := cutLast(token, ".")
	header, body, ok2 := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if !ok || !ok2 || err != nil {
		return errors.New("error validating token: malformed jwt")
	}
	var head struct{ Alg string }
	var claims map[string]any
	if decode(header, &head) != nil || head.Alg != "RS256" || decode(body, &claims) != nil {
		return errors.New("error validating token: malformed jwt")
	}
	hash := sha256.Sum256([]byte(text))
	if rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, hash[:], raw) != nil {
		return errors.New("error validating token: no known key successfully validated the token signature")
	}
	if expires, ok := claims["exp"].(float64); !ok || time.Now().Unix() > int64(expires) {
		return errors.New("error validating token: token is expired")
	}
	if claims["aud"] != role.Audience {
		return errors.New("error validating token: invalid audience (aud) claim")
	}
	for name, want := range role.Claims {
		if claims[name] != want {
			return fmt.Errorf("error validating claims: claim %q does not match any associated bound claim values", name)
		}
	}
	return nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+len(separator):], true
}

func decode(part string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
