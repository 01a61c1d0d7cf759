// Package vaulttest is a HashiCorp Vault for tests: a strict server, written
// from Vault's published description of its HTTP API, with namespaces, the auth
// method jwt, policies by path, the engines kv-v1 and kv-v2 and revocation.
//
// It is no Vault. It refuses what a Vault refuses, with the same status and
// words, and whatever runnerd has no reason to send.
package vaulttest
