package standin

import "time"

// An EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventCreated     EventKind = "created"
	EventPending     EventKind = "pending"
	EventHandedOut   EventKind = "handed out" // Detail: system id
	EventRunning     EventKind = "running"    // the first PUT running
	EventFirstByte   EventKind = "first byte"
	EventPatch       EventKind = "patch" // Bytes: length of the log after it; Detail: the status when it is not 202
	EventKeepAlive   EventKind = "keep-alive"
	EventCanceling   EventKind = "canceling"
	EventFinalUpdate EventKind = "final update" // Detail: state and reason as sent
	EventFinished    EventKind = "finished"     // Detail: why
	EventUpload      EventKind = "upload"       // Bytes: size; Detail: type
	EventDownload    EventKind = "download"     // Detail: name of the dependency
	EventFetch       EventKind = "fetch"        // a git fetch; Detail: path of the repository
)

// An Event is something that happened to a job.
type Event struct {
	Time   time.Time
	Kind   EventKind
	Bytes  int64
	Detail string
}

// event records an event. server.mu is held.
func (j *Job) event(kind EventKind, bytes int64, detail string) {
	j.events = append(j.events, Event{Time: time.Now(), Kind: kind, Bytes: bytes, Detail: detail})
}
