package main

import (
	"context"
	"errors"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/registry"
)

// registries are the container registries as package judge asks them.
type registries struct {
	client *registry.Client
	keys   [][]registry.Key // of each demand for signatures
}

// askedRegistries reads the keys that signatures are checked with.
func askedRegistries(p config.Policy, build buildInfo) (registries, error) {
	r := registries{client: registry.New(registry.Options{Insecure: p.InsecureRegistries, UserAgent: product + "/" + build.Version})}
	for _, s := range p.Signatures {
		var keys []registry.Key
		for _, file := range s.Keys {
			key, err := registry.LoadKey(file)
			if err != nil {
				return registries{}, err
			}
			keys = append(keys, key)
		}
		r.keys = append(r.keys, keys)
	}
	return r, nil
}

// Resolve implements judge.Registry. Its failures are those that a kubelet's
// pull of the image would end in.
func (r registries) Resolve(ctx context.Context, image string, credentials []job.Credential) (string, error) {
	digest, err := r.client.Resolve(ctx, image, credentials)
	if refused, ok := errors.AsType[*registry.Error](err); ok {
		reason := job.RunnerConfigurationError
		if refused.Kind == registry.Unreachable {
			reason = job.ImagePullFailure
		}
		return "", job.Failf(reason, "%v", err)
	}
	return digest, err
}

// Signed implements judge.Registry.
func (r registries) Signed(ctx context.Context, image, digest string, credentials []job.Credential, demand int) (string, error) {
	key, err := r.client.Verify(ctx, image, digest, credentials, r.keys[demand])
	return key.String(), err
}
