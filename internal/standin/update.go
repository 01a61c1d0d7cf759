package standin

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// jobUpdate is the body of PUT /jobs/:id (4.1).
type jobUpdate struct {
	Token         string      `json:"token"`
	State         string      `json:"state"`
	FailureReason string      `json:"failure_reason"`
	ExitCode      *int        `json:"exit_code"`
	Checksum      string      `json:"checksum"`
	Output        *output     `json:"output"`
	Info          *runnerInfo `json:"info"`
}

type output struct {
	Checksum string `json:"checksum"`
	Bytesize *int64 `json:"bytesize"`
}

func (u *jobUpdate) checksum() string {
	if u.Output != nil && u.Output.Checksum != "" {
		return u.Output.Checksum
	}
	return u.Checksum
}

// same describes what has to be the same in all repeats of a final update.
func (u *jobUpdate) same() string {
	code, size := "none", "none"
	if u.ExitCode != nil {
		code = strconv.Itoa(*u.ExitCode)
	}
	if u.Output != nil && u.Output.Bytesize != nil {
		size = strconv.FormatInt(*u.Output.Bytesize, 10)
	}
	return fmt.Sprintf("state %q, failure_reason %q, exit_code %s, checksum %q, bytesize %s",
		u.State, u.FailureReason, code, u.checksum(), size)
}

var checksumPattern = regexp.MustCompile(`^crc32:[0-9a-f]{8}$`)

// updateJob answers PUT /jobs/:id.
func (s *Server) updateJob(c *call) answer {
	u := c.update
	if u == nil {
		s.violate(c, "14.12", "body is not JSON of the right shape")
		return *badRequest("body is not JSON")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Token == "" {
		s.violate(c, "14.12", "token is missing in the body")
		return *badRequest("token is missing")
	}
	s.checkTokenHeader(c, "JOB-TOKEN", u.Token)
	j, a, ok := s.authorizeJob(c, u.Token)
	if !ok {
		return a
	}
	j.startSilenceTimer()
	if j.awaiting {
		return s.acknowledge(c, j, u)
	}
	switch u.State {
	case "running":
		return s.touch(j)
	case "success", "failed":
		return s.finalUpdate(c, j, u)
	case "":
		return j.with(plain(http.StatusOK))
	default:
		s.violate(c, "14.14", "state is %q, want running, success or failed", u.State)
		return j.with(plain(http.StatusBadRequest))
	}
}

// authorizeJob finds the job that the request is about. Unknown jobs and wrong
// tokens are 403, never 404 (14.12); so is a job that does not run (14.15).
func (s *Server) authorizeJob(c *call, token string) (*Job, answer, bool) {
	j := c.job
	if c.Header.Get("JOB-TOKEN") == "" {
		s.violate(c, "0A", "header JOB-TOKEN is missing")
	}
	if j == nil || token != j.token {
		s.violate(c, "14.12", "the job is unknown or the token is not its token")
		return nil, refuse(http.StatusForbidden, "Forbidden"), false
	}
	if j.state != Running && j.state != Canceling && !j.awaiting {
		return nil, j.with(refuse(http.StatusForbidden, "Forbidden - Job is not running")), false
	}
	return j, answer{}, true
}

// with adds the headers that answers about a job carry.
func (j *Job) with(a answer) answer {
	interval := strconv.Itoa(int(j.server.interval / time.Second))
	return a.with("Job-Status", string(j.state)).with("X-GitLab-Trace-Update-Interval", interval)
}

// acknowledge is the second phase of a two-phase hand-out (2.8).
func (s *Server) acknowledge(c *call, j *Job, u *jobUpdate) answer {
	switch u.State {
	case "pending":
		j.kept = true
		j.startAckTimer()
		return j.with(plain(http.StatusOK))
	case "running":
		j.awaiting, j.state = false, Running
		j.ackTimer.Stop()
		return s.touch(j)
	default:
		s.violate(c, "14.13", "state is %q before the job was acknowledged with running", u.State)
		return j.with(plain(http.StatusBadRequest))
	}
}

// touch is PUT running: the acknowledgement, then a sign of life.
func (s *Server) touch(j *Job) answer {
	if j.acknowledged() {
		j.event(EventKeepAlive, int64(len(j.log)), "")
	} else {
		j.event(EventRunning, 0, "")
	}
	j.confirmEarly() // the job goes on, so it was no final flush
	return j.with(plain(http.StatusOK))
}

func (j *Job) acknowledged() bool {
	return slices.ContainsFunc(j.events, func(e Event) bool { return e.Kind == EventRunning })
}

// finalUpdate takes the job's end, after as many repeats as the options ask.
func (s *Server) finalUpdate(c *call, j *Job, u *jobUpdate) answer {
	j.early = nil // what came before its time was the final flush
	if j.final == nil {
		s.checkFinal(c, j, u)
		j.final = u
	} else if first, now := j.final.same(), u.same(); first != now {
		s.violate(c, "14.17", "the final update is repeated with %s, it was %s", now, first)
	}
	j.event(EventFinalUpdate, int64(len(j.log)), u.State+" "+u.FailureReason)
	s.checkChecksum(c, j, u)

	if j.handshakes < s.opts.Handshakes && u.checksum() != "" {
		j.handshakes++
		pause := strconv.Itoa(int(s.opts.HandshakePause / time.Second))
		return j.with(plain(http.StatusAccepted)).with("X-GitLab-Trace-Update-Interval", pause)
	}
	s.checkLog(c, j)
	first := j.final
	state, reason, code := Success, "", 0
	if first.State == "failed" {
		state, reason = Failed, first.FailureReason
		if !slices.Contains(AllFailureReasons(), reason) { // 14.18
			reason = "unknown_failure"
		}
		if first.ExitCode != nil {
			code = min(max(*first.ExitCode, 0), 32767)
		}
	}
	if j.state == Canceling { // 14.20
		state, reason = Canceled, ""
	}
	j.finish(state, reason, code, "final update "+first.State)
	return j.with(plain(http.StatusOK))
}

// checkFinal checks what the final update says (14.13, 14.18, 14.19).
func (s *Server) checkFinal(c *call, j *Job, u *jobUpdate) {
	if !j.acknowledged() && u.FailureReason != "runner_system_failure" {
		s.violate(c, "14.13", "the first update after the hand-out is %q, want running", u.State)
	}
	if u.ExitCode != nil {
		switch {
		case u.State != "failed":
			s.violate(c, "14.19", "exit_code with state %q; it belongs to failed only", u.State)
		case *u.ExitCode == 0:
			s.violate(c, "14.19", "exit_code is 0; leave it out")
		}
	}
	switch known := append([]string{"script_failure", "runner_system_failure", "job_execution_timeout", "unknown_failure"},
		j.facts.features.FailureReasons...); {
	case u.FailureReason == "":
	case u.State != "failed":
		s.violate(c, "14.18", "failure_reason %q with state %q", u.FailureReason, u.State)
	case !slices.Contains(known, u.FailureReason):
		s.violate(c, "14.18", "failure_reason %q is not in the job's features.failure_reasons; map it", u.FailureReason)
	}
}

// checkChecksum compares what the client has sent with what has arrived. The
// real server only logs a difference (14.16). A job that is given back before
// it began has no log to speak of (2.8).
func (s *Server) checkChecksum(c *call, j *Job, u *jobUpdate) {
	if u.Output == nil && len(j.log) == 0 && !j.acknowledged() {
		return
	}
	sum := fmt.Sprintf("crc32:%08x", j.crc)
	switch got := u.checksum(); {
	case u.Output == nil || u.Output.Checksum == "":
		s.violate(c, "14.16", "output.checksum is missing in the final update")
	case !checksumPattern.MatchString(got):
		s.violate(c, "14.16", "output.checksum is %q, want crc32: and 8 lower-case hex digits", got)
	case got != sum:
		s.violate(c, "14.16", "output.checksum is %s, the log that has arrived has %s", got, sum)
	}
	switch size := int64(len(j.log)); {
	case u.Output == nil || u.Output.Bytesize == nil:
		s.violate(c, "14.16", "output.bytesize is missing in the final update")
	case *u.Output.Bytesize != size:
		s.violate(c, "14.16", "output.bytesize is %d, %d bytes have arrived", *u.Output.Bytesize, size)
	}
	if u.Checksum != "" && u.Output != nil && u.Checksum != u.Output.Checksum {
		s.violate(c, "14.16", "checksum is %q, output.checksum %q", u.Checksum, u.Output.Checksum)
	}
}
