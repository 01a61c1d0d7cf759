package conformance

import (
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

var meters = []Row{
	{
		Name: "transfer-meter", Spec: "9.3",
		Behaviour: "TRANSFER_METER_FREQUENCY prints how far a transfer is.",
		Archive:   map[string]string{"out/a": "from the earlier job\n"},
		Job:       with(vars("TRANSFER_METER_FREQUENCY", "1s"), "cat out/a"),
		Make:      slowly,
		Want:      Want{Says: []string{"Downloading artifacts of earlier than transfer-meter (", ": 0B of "}, Lines: []string{"from the earlier job"}},
	},
	{
		Name: "transfer-meter-off", Spec: "9.3",
		Behaviour: "Without it, nothing is printed between the beginning and the end.",
		Archive:   map[string]string{"out/a": "from the earlier job\n"},
		Job:       script("cat out/a"),
		Make:      slowly,
		Want:      Want{Lacks: []string{": 0B of "}, Lines: []string{"from the earlier job"}},
	},
}

// slowly has GitLab take its time before it sends the earlier job's artifacts.
func slowly(w *World, job *standin.JobSpec) {
	w.Server.Inject(standin.Fault{Endpoint: standin.DownloadArtifact, Job: job.DependsOn[0].ID(), Delay: 5 * time.Second})
}
