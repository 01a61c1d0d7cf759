package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

var reservedHosts = kubernetes.Config{ReservedHosts: []string{"GitLab.example.com", "minio", "minio.ci.svc.", ""}}

func TestAliasThatIsReserved(t *testing.T) {
	for _, alias := range []string{"minio", "MinIO", "minio.", "gitlab.example.com", " gitlab.example.com", "minio.ci.svc", "minio.ci.svc."} {
		t.Run(alias, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Services = []job.Service{{Image: job.Image{Name: "redis:7"}, Aliases: []string{"cache", alias}}}
				r := start(t, newCluster(t), reservedHosts, plan)
				r.wait()
				failure, ok := errors.AsType[*job.Failure](r.err)
				if !ok || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, `of service "redis:7" is the name of a host`) {
					t.Errorf("Run = %v", r.err)
				}
				if len(r.pods()) > 0 {
					t.Errorf("pods %q", r.pods())
				}
			})
		})
	}
}

func TestAliasesBesideReservedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Services = []job.Service{
			{Image: job.Image{Name: "minio:latest"}, Aliases: []string{"minio.ci", "store"}},
			{Image: job.Image{Name: "gitlab.example.com"}},
			{Image: job.Image{Name: "gitlab.example.com/group/db:1"}},
		}
		r := start(t, newCluster(t), reservedHosts, plan)
		var got []string
		for _, alias := range r.pod().Spec.HostAliases {
			got = append(got, alias.Hostnames...)
		}
		if diff := cmp.Diff([]string{"minio.ci", "store", "gitlab.example.com-group-db"}, got); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		for _, line := range []string{"Service minio:latest cannot be reached as minio,", "Service gitlab.example.com cannot be reached as gitlab.example.com,"} {
			if strings.Count(r.notes.String(), line) != 1 {
				t.Errorf("notes = %q, want %q in them once", r.notes, line)
			}
		}
	})
}

func TestAliasesOfServicesWithPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Services = []job.Service{
			{Image: job.Image{Name: "web:1"}, Aliases: []string{"site"}, Ports: []job.Port{{Number: 80}}},
			{Image: job.Image{Name: "redis:7"}},
			{Image: job.Image{Name: "redis:7"}, Aliases: []string{"second"}},
		}
		r := start(t, newCluster(t), kubernetes.Config{}, plan)
		var got []string
		for _, alias := range r.pod().Spec.HostAliases {
			got = append(got, alias.Hostnames...)
		}
		if diff := cmp.Diff([]string{"redis", "second"}, got); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		if line := "Service site declares ports and so has no host name"; strings.Count(r.notes.String(), line) != 1 {
			t.Errorf("notes = %q, want %q in them once", r.notes, line)
		}
	})
}
