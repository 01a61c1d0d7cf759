package judge

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

// write writes a decision down. Only the event takes time; it is not on the
// job's way.
func (j *Judge) write(ctx context.Context, jb *job.Job, plan *job.Plan, v Verdict, took time.Duration) {
	j.audit(jb, plan, v)
	if j.Count != nil {
		j.Count(v.Outcome(), v.Rule, took)
	}
	if j.Recorder == nil {
		return
	}
	d := v.Decision
	d.Reason, d.Fact = masked(plan, d.Reason), masked(plan, d.Fact)
	ctx = context.WithoutCancel(ctx)
	j.recording.Go(func() {
		if err := j.Recorder.Record(ctx, plan, d); err != nil {
			j.Log.Warn("decision not recorded as an event", zap.Int64("job", jb.ID), zap.Error(err))
		}
	})
}

// audit writes the one line from which it can be told, later and elsewhere, who
// was let in, as what, and why.
func (j *Judge) audit(jb *job.Job, plan *job.Plan, v Verdict) {
	f := v.Facts
	kind, name := f.RefName()
	fields := []zap.Field{
		zap.String("outcome", v.Outcome()), zap.String("rule", v.Rule), zap.String("rule_key", v.Key),
		zap.Int64("job", jb.ID), zap.Int64("project", f.ProjectID), zap.String("project_path", f.Project), zap.Int64("pipeline", jb.PipelineID),
		zap.String("job_name", masked(plan, f.Job)), zap.String("ref_kind", kind), zap.String("ref", masked(plan, name)), zap.String("sha", jb.Git.SHA),
		zap.String("protected", masked(plan, f.Protected.String())), zap.String("source", masked(plan, f.Source.Plain())),
		zap.Int64("user_id", f.UserID), zap.String("user", masked(plan, f.User.Plain())), zap.String("environment", masked(plan, f.Environment.Plain())),
		zap.String("image", masked(plan, f.Image.Reference())),
	}
	if len(f.Services) > 0 {
		fields = append(fields, zap.Strings("services", services(plan, f)))
	}
	if v.Action == policy.Deny {
		fields = append(fields, zap.String("reason", masked(plan, v.Reason)), zap.String("fact", masked(plan, v.Fact)), zap.Strings("allowed", v.Decision.Allowed))
	}
	if v.Action == policy.Shape {
		fields = append(fields, zap.Any("placement", shown(v.Placement)))
	}
	if v.Action == policy.Deny {
		j.Log.Warn("policy decision", fields...)
		return
	}
	j.Log.Info("policy decision", fields...)
}

// shown are the keys of a shape that say something, as the config names them.
func shown(p job.Placement) map[string]any {
	fields := map[string]any{}
	for key, value := range map[string]string{
		"namespace": p.Namespace, "service_account": p.ServiceAccount, "resource_class": p.ResourceClass,
		"network_tier": p.NetworkTier, "cache_tier": p.CacheTier,
	} {
		if value != "" {
			fields[key] = value
		}
	}
	for key, value := range map[string]map[string]string{"node_selector": p.NodeSelector, "node_tolerations": p.NodeTolerations} {
		if len(value) > 0 {
			fields[key] = value
		}
	}
	return fields
}

func services(plan *job.Plan, f policy.Facts) []string {
	var list []string
	for _, s := range f.Services {
		list = append(list, masked(plan, s.Reference()))
	}
	return list
}

// masked keeps the job's secrets out of logs that are not the job's: a variable
// may have put one into an image's name.
func masked(plan *job.Plan, text string) string {
	for _, phrase := range plan.Log.Masks {
		quoted := strconv.Quote(phrase)
		for _, form := range []string{phrase, quoted[1 : len(quoted)-1]} { // reasons quote what they name
			text = strings.ReplaceAll(text, form, "[MASKED]")
		}
	}
	return text
}
