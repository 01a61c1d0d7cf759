//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	arv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestPolicyWebhook: something in the cluster changes the image of a job's pod
// on its way. What runs then has to be allowed as well, or the pod is deleted.
func TestPolicyWebhook(t *testing.T) {
	t.Parallel()
	s := start(t, options{kubernetes: fmt.Sprintf("allowed_images = [%q, %q]", image("debian"), image("sh"))})
	rewrite := s.rewriteImages(map[string]string{image("debian"): image("busybox")})
	refused := s.add(standin.JobSpec{Name: "refused", Script: []string{"echo ran"}})
	s.finish(refused, standin.Failed)
	says(t, refused, "rule:    allowed_images", image("busybox"))
	if strings.Contains(refused.Text(), "\nran\n") {
		t.Errorf("the script ran:\n%s", refused.Text())
	}
	rewrite(map[string]string{image("debian"): image("sh")})
	fine := s.add(standin.JobSpec{Name: "fine", Script: []string{"echo ran"}})
	s.finish(fine, standin.Success)
	says(t, fine, "\nran\n")
}

// rewriteImages installs a mutating webhook for the site's namespace, and
// returns the way to change what it does.
func (s *site) rewriteImages(images map[string]string) (change func(map[string]string)) {
	s.t.Helper()
	rules := make(chan map[string]string, 1)
	rules <- images
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current := <-rules
		rules <- current
		review, err := mutateImages(r.Body, current)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			s.t.Errorf("answer the API server: %v", err)
		}
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server.Listener = listener
	server.StartTLS()
	s.t.Cleanup(server.Close)
	s.installWebhook(server)
	return func(next map[string]string) {
		<-rules
		rules <- next
	}
}

func (s *site) installWebhook(server *httptest.Server) {
	s.t.Helper()
	ctx := context.Background()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	fail, none, url := arv1.Fail, arv1.SideEffectClassNone, server.URL
	hook := &arv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Webhooks: []arv1.MutatingWebhook{{
			Name: "images.e2e.runnerd.io", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none,
			ClientConfig:      arv1.WebhookClientConfig{URL: &url, CABundle: ca},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.namespace}},
			Rules: []arv1.RuleWithOperations{{
				Operations: []arv1.OperationType{arv1.Create},
				Rule:       arv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	hooks := ground.api.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := hooks.Create(ctx, hook, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := hooks.Delete(ctx, s.namespace, metav1.DeleteOptions{}); err != nil {
			s.t.Errorf("delete the webhook: %v", err)
		}
	})
	// The API server takes a moment to see it.
	wait(s.t, "the webhook to act", func() bool {
		probe := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "probe"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "build", Image: image("debian")}}},
		}
		made, err := ground.api.CoreV1().Pods(s.namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && made.Spec.Containers[0].Image != image("debian")
	})
}

// mutateImages answers an AdmissionReview with a patch of the pod's images.
func mutateImages(body io.Reader, images map[string]string) (*admissionv1.AdmissionReview, error) {
	var review admissionv1.AdmissionReview
	var pod corev1.Pod
	if err := json.NewDecoder(body).Decode(&review); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(bytes.NewReader(review.Request.Object.Raw)).Decode(&pod); err != nil {
		return nil, err
	}
	patch := []map[string]string{}
	for i, c := range pod.Spec.Containers {
		if to, ok := images[c.Image]; ok {
			patch = append(patch, map[string]string{"op": "replace", "path": fmt.Sprintf("/spec/containers/%d/image", i), "value": to})
		}
	}
	text, err := json.Marshal(patch)
	kind := admissionv1.PatchTypeJSONPatch
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: text, PatchType: &kind}
	return &review, err
}
