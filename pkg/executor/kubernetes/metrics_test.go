package kubernetes

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhatIs(t *testing.T) {
	const pods, leases = "/api/v1/namespaces/ci/pods", "/apis/coordination.k8s.io/v1/namespaces/ci/leases"
	tests := []struct{ method, url, verb, resource string }{
		{http.MethodGet, pods, "list", "pods"},
		{http.MethodGet, pods + "?labelSelector=x&watch=true", "watch", "pods"},
		{http.MethodGet, pods + "/runner-1", "get", "pods"},
		{http.MethodGet, pods + "/runner-1/log?follow=true", "get", "pods/log"},
		{http.MethodPost, pods, "create", "pods"},
		{http.MethodPatch, pods + "/runner-1", "patch", "pods"},
		{http.MethodDelete, "/api/v1/namespaces/ci/secrets/x", "delete", "secrets"},
		{http.MethodPut, leases + "/x", "update", "leases"},
		{http.MethodPost, "/prefix" + leases, "create", "leases"},
		{http.MethodGet, "/api/v1/namespaces/pods/pods/log", "get", "pods"},
		{http.MethodGet, "/api/v1/namespaces/ci/resourcequotas", "list", "resourcequotas"},
		{http.MethodGet, "/version", "list", "other"},
		{http.MethodGet, "/", "list", "other"},
		{http.MethodPost, pods + "/x/exec", "create", "other"},
		{http.MethodHead, pods, "other", "pods"},
	}
	for _, tt := range tests {
		verb, resource := whatIs(httptest.NewRequest(tt.method, tt.url, http.NoBody))
		if verb != tt.verb || resource != tt.resource {
			t.Errorf("%s %s is %s %s, want %s %s", tt.method, tt.url, verb, resource, tt.verb, tt.resource)
		}
	}
}
