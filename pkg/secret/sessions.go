package secret

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// A sessions holds the tokens of one job: one for each server and way in.
type sessions struct {
	resolver *Resolver
	open     map[string]session
}

type session struct {
	server, namespace string
	token             string
}

// read returns the value of one secret.
func (s *sessions) read(ctx context.Context, v job.VaultSecret) (string, error) {
	if !s.resolver.allowed(v.URL) {
		return "", errForeign
	}
	session, err := s.login(ctx, v)
	if err != nil {
		return "", err
	}
	path := strings.Trim(v.EnginePath, "/") + "/"
	if v.EngineName == job.EngineKV2 {
		path += "data/"
	}
	var answer struct {
		Data map[string]any `json:"data"`
	}
	err = s.resolver.do(ctx, call{
		did: didRead, method: http.MethodGet, server: v.URL, namespace: v.Namespace,
		path: path + strings.Trim(v.Path, "/"), token: session.token,
	}, &answer)
	if err != nil {
		return "", err
	}
	data := answer.Data
	if v.EngineName == job.EngineKV2 {
		data, _ = data["data"].(map[string]any)
	}
	return field(data, v.Field)
}

// field returns a string as it is, and anything else as JSON.
func field(data map[string]any, name string) (string, error) {
	switch value := data[name].(type) {
	case nil:
		return "", errMissing
	case string:
		return value, nil
	default:
		text, err := json.Marshal(value)
		if err != nil {
			return "", &answerError{didRead, "the field's value is not JSON"}
		}
		return string(text), nil
	}
}

func (s *sessions) login(ctx context.Context, v job.VaultSecret) (session, error) {
	data, err := json.Marshal(v.AuthData)
	if err != nil {
		return session{}, &answerError{didLogin, "the auth data is not JSON"}
	}
	key := strings.Join([]string{v.URL, v.Namespace, v.AuthName, v.AuthPath, string(data)}, "\x00")
	if open, ok := s.open[key]; ok {
		return open, nil
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	err = s.resolver.do(ctx, call{
		did: didLogin, method: http.MethodPost, server: v.URL, namespace: v.Namespace,
		path: "auth/" + strings.Trim(v.AuthPath, "/") + "/login", body: v.AuthData,
	}, &answer)
	if err != nil {
		return session{}, err
	}
	if answer.Auth.Token == "" {
		return session{}, &answerError{didLogin, "the answer holds no token"}
	}
	if s.open == nil {
		s.open = map[string]session{}
	}
	s.open[key] = session{v.URL, v.Namespace, answer.Auth.Token}
	return s.open[key], nil
}

// revoke gives the tokens back, also when the job has been stopped. A token
// that stays ends by itself.
func (s *sessions) revoke(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	for _, open := range s.open {
		_ = s.resolver.do(ctx, call{
			did: "revoke", method: http.MethodPost, server: open.server, namespace: open.namespace,
			path: "auth/token/revoke-self", token: open.token,
		}, nil)
	}
}
