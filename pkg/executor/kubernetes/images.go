package kubernetes

import (
	"fmt"
	"slices"

	"github.com/runnerd/runnerd/pkg/job"
)

// describe names an image as the job's author has written it, and what it was
// resolved to.
func describe(image job.Image) string {
	if image.Pinned == "" {
		return image.Name
	}
	return fmt.Sprintf("%s (%s)", image.Name, image.Pinned)
}

// imageOf returns the image that a container of a job's pod runs; false for the
// helper and for what is not the job's.
func imageOf(plan *job.Plan, container string) (job.Image, bool) {
	if container == containerBuild {
		return plan.Image, true
	}
	i := slices.Index(serviceNames(plan), container)
	if i < 0 {
		return job.Image{}, false
	}
	return plan.Services[i].Image, true
}
