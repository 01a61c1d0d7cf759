package job

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func proxied(t *testing.T, p Proxy, hosts []string, services []Service, vars ...Variable) *Plan {
	t.Helper()
	j := &Job{ID: 1, Timeout: time.Hour, Variables: vars, Services: services, Image: Image{Name: "debian"}, Git: Git{RepoURL: "https://gitlab.example.com/a/b.git"}}
	plan, err := Compile(j, Options{Executor: "kubernetes", BuildsDir: "/builds", Proxy: p, Hosts: hosts, Environment: []Variable{{Key: "all_proxy", Value: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func proxyValues(vars []Variable) map[string]string {
	found := map[string]string{}
	for _, v := range vars {
		if strings.HasSuffix(strings.ToLower(v.Key), "_proxy") {
			found[v.Key] = v.Value
		}
	}
	return found
}

const always = "localhost,127.0.0.1,::1,.svc,.cluster.local"

func TestProxyVariables(t *testing.T) {
	const at = "http://squid.ci.svc:3128"
	p := Proxy{HTTP: at, HTTPS: at, No: []string{".corp", "10.0.0.0/8"}}
	no := ".corp,10.0.0.0/8," + always
	services := []Service{{Image: Image{Name: "registry.example.com/db/postgres:16"}, Aliases: []string{"db"}}}
	for _, tt := range []struct {
		name     string
		proxy    Proxy
		hosts    []string
		services []Service
		vars     []Variable
		want     map[string]string
	}{
		{name: "none", want: map[string]string{"all_proxy": "x"}},
		{name: "both", proxy: p, want: map[string]string{
			"all_proxy": "x", "http_proxy": at, "HTTP_PROXY": at, "https_proxy": at, "HTTPS_PROXY": at, "no_proxy": no, "NO_PROXY": no,
		}},
		{
			name: "the job's own, in whatever case", proxy: p,
			vars: []Variable{{Key: "HTTPS_PROXY", Value: "http://mine:1"}, {Key: "no_proxy", Value: "*"}},
			want: map[string]string{"all_proxy": "x", "http_proxy": at, "HTTP_PROXY": at, "HTTPS_PROXY": "http://mine:1", "no_proxy": "*"},
		},
		{
			name: "services and inner hosts", proxy: Proxy{HTTPS: at}, services: services,
			hosts: []string{"gitlab.example.com", "minio", "10.1.2.3", "s3.amazonaws.com", "8.8.8.8"},
			want: map[string]string{
				"all_proxy": "x", "https_proxy": at, "HTTPS_PROXY": at,
				"no_proxy": always + ",db,registry.example.com__db__postgres,registry.example.com-db-postgres,minio,10.1.2.3",
				"NO_PROXY": always + ",db,registry.example.com__db__postgres,registry.example.com-db-postgres,minio,10.1.2.3",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := proxied(t, tt.proxy, tt.hosts, tt.services, tt.vars...)
			for where, vars := range map[string][]Variable{"helper": plan.Helper.Variables, "build": plan.Build.Variables} {
				if diff := cmp.Diff(tt.want, proxyValues(vars)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", where, diff)
				}
			}
			if got := plan.Helper.Proxy; got.HTTP != tt.proxy.HTTP || got.HTTPS != tt.proxy.HTTPS {
				t.Errorf("the helper's proxy is %+v: not the operator's", got)
			}
		})
	}
}

// TestProxyPassword: a proxy's password is nowhere in the pod's spec, and masked.
func TestProxyPassword(t *testing.T) {
	plan := proxied(t, Proxy{HTTP: "http://ci:p4ss%21word@proxy:3128"}, nil, nil)
	if got := proxyValues(plan.Environment); got["http_proxy"] != "" || got["no_proxy"] == "" {
		t.Errorf("the pod's spec has %v", got)
	}
	for _, want := range []string{"http://ci:p4ss%21word@proxy:3128", "p4ss!word"} {
		if !slices.Contains(plan.Log.Masks, want) || !slices.Contains(plan.Helper.Log.Masks, want) {
			t.Errorf("%q is not masked", want)
		}
	}
}
