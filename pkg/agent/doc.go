// Package agent does a job's work inside its pod.
//
// Two processes run from it. [RunHelper] is the helper container: it fetches
// the sources, asks for one step after the other, makes the job's log and
// writes it, with what happened, as frames to stdout. [RunBuild] is the build
// container: it runs the user's scripts in the image's own shell.
//
// The two meet in a shared directory only. Its files (each written aside and
// renamed) are private to this package:
//
//	bin/runnerd-agent     the agent, for the build container to run
//	handover/
//	  helper.lock         locked while the helper lives; so is build.lock
//	  build.json          the build side announces itself
//	  step-N.json         the helper asks for a step
//	  step-N.log          what the step printed, growing
//	  step-N.keep         what was read of the log keeps its room on the disk
//	  step-N.stop         the helper wants the step to end
//	  step-N.result       how the step ended
//	  exit                the helper needs the build side no more
//
// The user's script may write there too. So the helper follows no link out of
// the directory, and believes nothing that could harm more than the job itself.
package agent
