package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOverwrites(t *testing.T) {
	j := example()
	j.Variables = append(j.Variables,
		Variable{Key: "SIZE", Value: "2"},
		Variable{Key: "KUBERNETES_CPU_REQUEST", Value: "1"},
		Variable{Key: "KUBERNETES_CPU_REQUEST", Value: "$SIZE"},
		Variable{Key: "KUBERNETES_POD_MEMORY_LIMIT", Value: "1Gi"},
		Variable{Key: "KUBERNETES_POD_EPHEMERAL_STORAGE_LIMIT", Value: "1Gi"},
		Variable{Key: "KUBERNETES_HELPER_MEMORY_LIMIT", Value: ""},
		Variable{Key: "KUBERNETES_NODE_SELECTOR_pool", Value: "pool=ci"},
		Variable{Key: "KUBERNETES_HELPER_EPHEMERAL_STORAGE_LIMIT", Value: "1Gi"},
		Variable{Key: "KUBERNETES_NAMESPACE_OVERWRITE", Value: "ci-2"},
		Variable{Key: "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", Value: "ci"},
		Variable{Key: "KUBERNETES_POD_ANNOTATIONS_x", Value: "a=b"},
		Variable{Key: "KUBERNETES_IMAGE", Value: "x"},
		Variable{Key: "KUBERNETES_SERVICE_HOST", Value: "10.0.0.1"},
		Variable{Key: "KUBERNETES_HELPER_SERVICE_CPU_LIMIT", Value: "1"},
	)
	j.Services = []Service{{Image: Image{Name: "db"}, Variables: []Variable{
		{Key: "KUBERNETES_SERVICE_CPU_LIMIT", Value: "$SIZE"},
		{Key: "KUBERNETES_CPU_LIMIT", Value: "64"},
		{Key: "KUBERNETES_NAMESPACE_OVERWRITE", Value: "kube-system"},
		{Key: "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", Value: "admin"},
	}}}
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	want := []Overwrite{
		{"KUBERNETES_CPU_REQUEST", "2", "cpu_request", -1},
		{"KUBERNETES_HELPER_EPHEMERAL_STORAGE_LIMIT", "1Gi", "helper_ephemeral_storage_limit", -1},
		{"KUBERNETES_NAMESPACE_OVERWRITE", "ci-2", "namespace", -1},
		{"KUBERNETES_NODE_SELECTOR_pool", "pool=ci", "node_selector", -1},
		{"KUBERNETES_POD_ANNOTATIONS_x", "a=b", "pod_annotations", -1},
		{"KUBERNETES_POD_MEMORY_LIMIT", "1Gi", "pod_memory_limit", -1},
		{"KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", "ci", "service_account", -1},
		{"KUBERNETES_SERVICE_CPU_LIMIT", "2", "service_cpu_limit", 0},
	}
	if diff := cmp.Diff(want, p.Overwrites); diff != "" {
		t.Errorf("overwrites (-want +got):\n%s", diff)
	}
}
