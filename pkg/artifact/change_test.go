package artifact_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
)

func TestSelection(t *testing.T) {
	s := newSite(t, standin.Options{})
	for _, name := range []string{"a/one.o", "a/one.c", "a/deep/two.o", "a/deep/two.c", "b.txt", "c.log", "new", ".hidden"} {
		s.write(name, name)
	}
	must(t, os.Symlink("/etc", s.path("etc")))
	files := s.choose(artifact.Selection{
		Paths:     []string{"a", "*.{txt,log}", "nothing/**", "../../etc/passwd", "etc/passwd", s.dir + "/.hid[a-z]en"},
		Untracked: []string{"new", "b.txt"},
		Exclude:   []string{"**/*.o", "c.log", "[", s.dir + "/a/deep/*.c"},
	})
	var paths []string
	for _, e := range files.Entries {
		paths = append(paths, e.Path)
	}
	if diff := cmp.Diff([]string{".hidden", "a", "a/deep", "a/one.c", "b.txt", "new"}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	var counts []int
	for _, m := range append(files.Paths, files.Exclude...) {
		counts = append(counts, m.Count)
	}
	if diff := cmp.Diff([]int{6, 2, 0, 0, 0, 1, 2, 1, 0, 1}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	text := strings.Join(files.Warnings, "\n")
	for _, part := range []string{"outside the project directory", "symlinks are not followed", `exclude "["`} {
		if !strings.Contains(text, part) {
			t.Errorf("no warning with %q: %s", part, text)
		}
	}
}

// Files change between search and sending, and so does what they are.
func TestFilesChange(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("SECRET"), 0o600))
	for name, tt := range map[string]struct {
		change func(s *site)
		list   string // of the archive
		says   string
	}{
		"gone": {
			change: func(s *site) { must(t, os.Remove(s.path("d/b"))) },
			list:   "-rw-r--r-- a \"aaaa\"\n-rw-r--r-- c \"cccc\"\n", says: `"d/b" is no longer`,
		},
		"a symlink": {
			change: func(s *site) {
				must(t, os.Remove(s.path("d/b")))
				must(t, os.Symlink(secret, s.path("d/b")))
			},
			list: "-rw-r--r-- a \"aaaa\"\n-rw-r--r-- c \"cccc\"\n", says: `"d/b" is no longer`,
		},
		"below a symlink": {
			change: func(s *site) {
				must(t, os.Rename(secret, filepath.Join(filepath.Dir(secret), "b")))
				must(t, os.RemoveAll(s.path("d")))
				must(t, os.Symlink(filepath.Dir(secret), s.path("d")))
			},
			list: "-rw-r--r-- a \"aaaa\"\n-rw-r--r-- c \"cccc\"\n", says: `"d/b" is no longer`,
		},
		"a pipe": {
			change: func(s *site) {
				must(t, os.Remove(s.path("d/b")))
				must(t, unix.Mkfifo(s.path("d/b"), 0o600))
			},
			list: "-rw-r--r-- a \"aaaa\"\n-rw-r--r-- c \"cccc\"\n", says: `"d/b" is no longer`,
		},
		"shorter": {
			change: func(s *site) { s.write("d/b", "b") },
			list:   "-rw-r--r-- a \"aaaa\"\n-rw-r--r-- c \"cccc\"\n-rw-r--r-- d/b \"b\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, standin.Options{})
			for _, f := range []string{"a", "d/b", "c"} {
				s.write(f, strings.Repeat(filepath.Base(f), 4))
			}
			j := s.run(standin.JobSpec{})
			u := s.of(j, "a", "d/b", "c")
			tt.change(s)
			sent, err := s.upload(u)
			must(t, err)
			if diff := cmp.Diff(tt.list, list(t, j.Uploads()[0].Data)); diff != "" {
				t.Errorf("archive (-want +got):\n%s", diff)
			}
			if notes := strings.Join(sent.Notes, "\n"); !strings.Contains(notes, tt.says) {
				t.Errorf("notes %q, want %q", notes, tt.says)
			}
		})
	}
}

func TestNothingIsLeft(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("a", "text")
	j := s.run(standin.JobSpec{})
	u := s.of(j, "a")
	must(t, os.Remove(s.path("a")))
	for _, format := range []string{artifact.Raw, artifact.Gzip} {
		u.Format = format
		_, err := s.upload(u)
		says(t, err, "none of the files is there any more")
	}
	if n := s.gitlab.Requests(standin.UploadArtifact); n > 2 {
		t.Errorf("%d requests: what is wrong here is tried again there", n)
	}
}

// While a file is read, somebody changes it: the artifact is whole, and it is
// said what it is.
func TestFileChangesWhileItIsRead(t *testing.T) {
	const size = 32 << 20
	for name, tt := range map[string]struct {
		change func(path string) error
		says   string
	}{
		"grows":           {func(path string) error { return os.Truncate(path, 2*size) }, "grew while it was read"},
		"becomes shorter": {func(path string) error { return os.Truncate(path, 0) }, "became shorter while it was read"},
		"goes away":       {os.Remove, ""}, // what is open stays whole
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir()}
			noise := make([]byte, size) // does not get smaller: most of it is still to be read when the first bytes arrive
			_, err := rand.NewChaCha8([32]byte{}).Read(noise)
			must(t, err)
			s.write("big", string(noise))
			s.write("z", "the last one")
			s.open()
			received := s.receive(func() { must(t, tt.change(s.path("big"))) })
			sent, err := s.newClient(received.url).Upload(soon(t), s.root, artifact.Upload{
				JobID: 1, Token: "t", FileName: "f.zip", Format: artifact.Zip, Level: "fastest", Entries: s.collect("*").Entries, Provenance: provenance(),
			})
			must(t, err)
			if notes := strings.Join(sent.Notes, "\n"); !strings.Contains(notes, tt.says) || tt.says == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, tt.says)
			}
			z := received.zip()
			if n := z.File[0].UncompressedSize64; n > size || tt.says == "" && n != size {
				t.Errorf("big has %d bytes in the archive", n)
			}
			must(t, readAll(z))
			if z.File[1].Name != "z" || z.File[1].UncompressedSize64 != uint64(len("the last one")) {
				t.Errorf("behind it comes %+v", z.File[1])
			}
			packed, err := os.ReadFile(received.file.Name())
			must(t, err)
			got, sums := stated(t, packed)
			if diff := cmp.Diff(sums, got.digests()); diff != "" {
				t.Errorf("files and what is stated of them (-archive +statement):\n%s", diff)
			}
		})
	}
}

// While artifacts are searched for and sent, somebody exchanges a folder for a
// symlink that leads out of the project, again and again.
func TestExchangedFolderIsNotSent(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "f"), []byte("SECRET"), 0o600))
	s := newSite(t, standin.Options{ArtifactLimit: 1 << 20})
	s.write("d/f", "inside")
	must(t, os.Symlink(outside, s.path("evil")))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, s.path("d"), unix.AT_FDCWD, s.path("evil"), unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
		}
	}()
	found := 0
	for range 60 {
		j := s.run(standin.JobSpec{})
		_, err := s.upload(s.of(j, "d", "evil", "d/f", "evil/f"))
		must(t, err)
		text := list(t, j.Uploads()[0].Data)
		if strings.Contains(text, "SECRET") {
			t.Fatalf("the archive has a file from outside:\n%s", text)
		}
		found += strings.Count(text, "inside")
	}
	close(stop)
	<-stopped
	t.Logf("the file in the project was found %d times", found)
}
