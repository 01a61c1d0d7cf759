package poller

import "sync"

// A Slot numbers a running job. The numbers are the lowest that are free, so
// that they can name folders and caches that the next job uses again.
type Slot struct {
	ConcurrentID        int // among the jobs of the runner entry
	ConcurrentProjectID int // among the jobs of the entry and the project
}

type ids struct {
	mu       sync.Mutex
	entry    map[int]int // how many jobs have a number: those of a dead replica bring theirs
	projects map[int64]map[int]int
}

func (i *ids) take(project int64) Slot {
	i.mu.Lock()
	defer i.mu.Unlock()
	slot := Slot{ConcurrentID: lowest(i.entry), ConcurrentProjectID: lowest(i.projects[project])}
	i.mark(project, slot)
	return slot
}

// put takes the numbers that a job has from before.
func (i *ids) put(project int64, slot Slot) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mark(project, slot)
}

func (i *ids) mark(project int64, slot Slot) {
	if i.entry == nil {
		i.entry, i.projects = map[int]int{}, map[int64]map[int]int{}
	}
	if i.projects[project] == nil {
		i.projects[project] = map[int]int{}
	}
	i.entry[slot.ConcurrentID]++
	i.projects[project][slot.ConcurrentProjectID]++
}

func (i *ids) release(project int64, slot Slot) {
	i.mu.Lock()
	defer i.mu.Unlock()
	leave(i.entry, slot.ConcurrentID)
	leave(i.projects[project], slot.ConcurrentProjectID)
	if len(i.projects[project]) == 0 {
		delete(i.projects, project)
	}
}

func leave(used map[int]int, n int) {
	if used[n]--; used[n] <= 0 {
		delete(used, n)
	}
}

func lowest(used map[int]int) int {
	n := 0
	for used[n] > 0 {
		n++
	}
	return n
}
