// Package standin is a strict stand-in for GitLab, as a CI runner sees it: the
// runner API with long polling, git repositories over HTTP, job artifacts and
// their object storage. Tests run against it, and so does the demo; it is a
// real HTTP server with its state in memory.
//
// It knows nothing of the client's code: it has its own types for everything
// on the wire, so that a mistake in the client is not mirrored here.
//
// Strict means that it also watches what a real GitLab lets pass. Everything a
// client does that it should not have done is kept as a [Violation], with the
// number of the rule in the runner API specification ("14.23"). [Start] fails
// the test for each of them.
//
//	srv := standin.Start(t, standin.Options{})
//	runner := srv.AddRunner(standin.RunnerSpec{})
//	repo, err := srv.AddRepository("demo/hello", map[string]string{"main.sh": "#!/bin/sh\necho hello\n"})
//	...
//	j := srv.AddJob(standin.JobSpec{Repository: repo, Script: []string{"./main.sh"}})
//	go client(srv.URL(), runner.Token())
//	state, err := j.Wait(ctx) // "success"
//	j.Text()                  // the log as GitLab would show it
//
// A [Fault] makes the server misbehave on demand:
//
//	srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, Times: 2, Status: 502})
//	srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, LoseAnswer: true})
//
// Beside the runner API it answers what a daemon with an access token may read
// about its jobs: their projects' protected branches, tags and environments,
// their deployments, and the jobs themselves.
//
// The package uses the standard clock only and starts no goroutine before
// [Server.Start]; all of them have ended when [Server.Close] returns.
package standin
