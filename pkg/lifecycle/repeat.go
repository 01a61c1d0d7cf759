package lifecycle

// repeatFrom makes j repeat the log of the process before, which has recorded
// pieces; GitLab has known bytes of it. What is recorded from now on goes to save.
// prepared says that the section of the preparations is over.
func (j *journal) repeatFrom(pieces []piece, known int64, save func(piece) error) (prepared bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pieces, j.known, j.save = pieces, known, save
	j.kept.Store(true)
	j.late.Store(j.repeating())
	for len(j.pieces) > 0 && j.pieces[0].At == 0 && j.end != 0 {
		prepared = prepared || j.pieces[0].Prepared
		if err := j.repeat(); err != nil {
			return prepared, err
		}
	}
	return prepared, nil
}

// endAt says that only so many bytes of the pod belong to the log; ended is called
// when they have come.
func (j *journal) endAt(bytes int64, ended func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end, j.ended = bytes, ended
}

// repeat writes the next piece. The caller holds mu.
func (j *journal) repeat() error {
	next := j.pieces[0]
	j.pieces = j.pieces[1:]
	j.late.Store(j.repeating())
	return j.put(next.Text)
}

// complete ends the repetition: the pod will bring no more. What GitLab has beyond
// it stays there; skip makes the trace go on behind that. It returns how many bytes
// of the log will never reach GitLab.
func (j *journal) complete(skip func() int64) (lost int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.pieces) > 0 {
		next := &j.pieces[0]
		if next.Off > j.total+lost {
			j.total += skip()
		}
		if hole := next.Off - j.total - lost; hole > 0 {
			lost += hole
		} else {
			next.Text = next.Text[min(-hole, int64(len(next.Text))):]
		}
		if err := j.repeat(); err != nil {
			return lost, err
		}
	}
	j.total += skip()
	j.late.Store(false)
	return lost, nil
}

// unseen says that GitLab has more of the pod's log than passed by here: the section
// of the preparations is over, and which others are open nobody knows.
func (l *ownLines) unseen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.preparing, l.midLine, l.pod = false, true, openSections{}
}

// repeatFrom is that of the journal, for lines that another process has begun.
func (l *ownLines) repeatFrom(pieces []piece, known int64, save func(piece) error) error {
	prepared, err := l.journal.repeatFrom(pieces, known, save)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.preparing = !prepared
	return err
}
