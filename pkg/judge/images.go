package judge

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

// atOnce is how many images of one job are looked up at the same time.
const atOnce = 8

// resolve finds out what the tags of the job's images stand for, all at once. In
// audit mode an image without an answer runs by its tag.
func (j *Judge) resolve(ctx context.Context, plan *job.Plan, v *Verdict) error {
	if j.Registry == nil {
		return nil
	}
	list := v.Facts.Images()
	failures := make([]error, len(list))
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	for i := range list {
		if j.Rules.Promised(list[i]) == "" {
			continue // nobody wants to know
		}
		asking.Go(func() error {
			list[i].Digest, failures[i] = j.digest(ctx, plan, list[i])
			return nil
		})
	}
	_ = asking.Wait() // the errors are in failures, each with its image
	for i, err := range failures {
		if err != nil && !j.Rules.Audits() {
			rule := j.Rules.Promised(list[i])
			v.Decision = policy.Decision{Action: policy.Deny, Rule: rule, Key: "policy." + rule, Fact: "image = " + list[i].Name, Reason: err.Error()}
			return err
		}
		if err != nil {
			v.Notes = append(v.Notes, fmt.Sprintf("Image %s runs by its tag, which could not be looked up (audit mode): %v", list[i].Name, err))
		}
	}
	v.Facts = withImages(v.Facts, list)
	return nil
}

// digest asks by the very name that was judged.
func (j *Judge) digest(ctx context.Context, plan *job.Plan, im policy.Image) (string, error) {
	full, err := im.Full()
	if err != nil {
		return "", err
	}
	return j.Registry.Resolve(ctx, full, plan.Credentials)
}

// withImages puts the images back from where Facts.Images has them.
func withImages(f policy.Facts, list []policy.Image) policy.Facts {
	if f.Image.Name != "" {
		f.Image, list = list[0], list[1:]
	}
	f.Services = list
	return f
}

// checkSignatures denies the job when one of its images is not signed as
// demanded.
func (j *Judge) checkSignatures(ctx context.Context, plan *job.Plan, v *Verdict) error {
	for _, im := range v.Facts.Images() {
		note := ""
		for _, demand := range j.Rules.Signed(im) {
			key, err := j.signed(ctx, plan, im, demand)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				placement := v.Placement
				v.Decision = j.Rules.Unsigned(im, demand, err)
				v.Placement = placement // for when it is only reported
				return nil
			}
			note = ", signed by " + key
		}
		if im.Digest != "" {
			v.Notes = append(v.Notes, fmt.Sprintf("Image %s is %s%s", im.Name, im.Reference(), note))
		}
	}
	return nil
}

func (j *Judge) signed(ctx context.Context, plan *job.Plan, im policy.Image, demand int) (string, error) {
	if im.Digest == "" {
		return "", errors.New("its digest is not known")
	}
	full, err := im.Full()
	if err != nil {
		return "", err
	}
	return j.Registry.Signed(ctx, full, im.Digest, plan.Credentials, demand)
}
