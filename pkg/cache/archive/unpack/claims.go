package unpack

import (
	"fmt"
	"hash/maphash"
	"sync"
)

// claims say what each path is in this restore, so that no two entries want the
// same place, and nothing is both a folder and something else. Only what has been
// claimed is touched; that makes workers independent of one another.
//
// A path is kept as its hash, which takes a fifth of the memory. A collision
// would be an error; among five million paths it has a chance of one to a million.
// The seed is this restore's own, so that nobody can make paths collide.
type claims struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	sync.Mutex
	paths map[uint64]claim
}

func newClaims() *claims { return &claims{seed: maphash.MakeSeed()} }

type claim uint8

const (
	claimLeaf   claim = 1 << iota // file, symlink or hard link
	claimFolder                   // folder, by itself or because something is in it
	claimEntry                    // the folder has an entry of its own
	claimFresh                    // there was no such folder before
)

// change calls f with what path is claimed as, and keeps what f returns.
func (c *claims) change(path string, f func(claim) (claim, error)) error {
	key := maphash.String(c.seed, path)
	shard := &c.shards[key%uint64(len(c.shards))]
	shard.Lock()
	defer shard.Unlock()
	now, err := f(shard.paths[key])
	if err != nil {
		return err
	}
	if shard.paths == nil {
		shard.paths = map[uint64]claim{}
	}
	shard.paths[key] = now
	return nil
}

// leaf claims path for something that is not a folder.
func (c *claims) leaf(path string) error {
	return c.change(path, func(before claim) (claim, error) {
		switch {
		case before&claimLeaf != 0:
			return 0, twice(path)
		case before&claimFolder != 0:
			return 0, both(path)
		}
		return claimLeaf, nil
	})
}

// folder claims path for a folder, and says whether it was not there before. If
// the claim is the first, that is what absent says.
func (c *claims) folder(path string, absent func() (bool, error)) (fresh bool, err error) {
	err = c.change(path, func(before claim) (claim, error) {
		switch {
		case before&claimLeaf != 0:
			return 0, both(path)
		case before&claimFolder != 0:
			fresh = before&claimFresh != 0
			return before, nil
		}
		if fresh, err = absent(); err != nil {
			return 0, err
		}
		if fresh {
			return claimFolder | claimFresh, nil
		}
		return claimFolder, nil
	})
	return fresh, err
}

// entry takes note that the folder path, which is claimed, has its own entry.
func (c *claims) entry(path string) error {
	return c.change(path, func(before claim) (claim, error) {
		if before&claimEntry != 0 {
			return 0, twice(path)
		}
		return before | claimEntry, nil
	})
}

func twice(path string) error { return fmt.Errorf("%w: %.200q is there twice", ErrUnsafe, path) }

func both(path string) error {
	return fmt.Errorf("%w: %.200q is a folder and something else", ErrUnsafe, path)
}
