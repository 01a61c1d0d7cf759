package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	bucketName = "bench"
	user       = "bench-user"
	password   = "bench-password"
)

// A store is a MinIO server, and the slow road to it.
type store struct {
	process *exec.Cmd
	trash   string // where the server keeps for minutes what was deleted
	near    *minio.Client
	far     *minio.Client // signs for the slow road
	road    *road
	next    int
}

func startStore(ctx context.Context, program, dir string) (*store, error) {
	data := filepath.Join(dir, "minio")
	if err := os.MkdirAll(filepath.Join(data, bucketName), 0o755); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	s := &store{trash: filepath.Join(data, ".minio.sys/tmp/.trash"), process: exec.CommandContext(ctx, program, "server", "--quiet", "--address", address, "--console-address", "127.0.0.1:0", data)}
	s.process.Env = append(os.Environ(), "MINIO_ROOT_USER="+user, "MINIO_ROOT_PASSWORD="+password, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+dir)
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	if s.near, err = connect(address); err != nil {
		return s, err
	}
	if s.road, err = openRoad(ctx, address); err != nil {
		return s, err
	}
	if s.far, err = connect(s.road.address()); err != nil {
		return s, err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := s.near.BucketExists(ctx, bucketName); err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			return s, fmt.Errorf("the MinIO server at %s does not answer", address)
		}
	}
}

func connect(address string) (*minio.Client, error) {
	return minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(user, password, ""), Region: "us-east-1"})
}

func (s *store) close() {
	if s.road != nil {
		s.road.close()
	}
	_ = s.process.Process.Kill() // it is of no use any more
	_ = s.process.Wait()
}

// once are the headers of a URL that is good for one write.
var once = map[string]string{"If-None-Match": "*"}

// place returns URLs for n new objects.
func (s *store) place(ctx context.Context, n int, slow bool) (prefix string, urls []string, err error) {
	s.next++
	prefix = fmt.Sprintf("layer-%d/", s.next)
	for i := range n {
		u, err := s.client(slow).PresignHeader(ctx, http.MethodPut, bucketName, name(prefix, i), time.Hour, nil, http.Header{"If-None-Match": {"*"}})
		if err != nil {
			return "", nil, err
		}
		urls = append(urls, u.String())
	}
	return prefix, urls, nil
}

func name(prefix string, n int) string { return fmt.Sprintf("%s%05d", prefix, n) }

// read returns URLs of n objects.
func (s *store) read(ctx context.Context, prefix string, n int, slow bool) (urls []string, err error) {
	for i := range n {
		u, err := s.client(slow).PresignedGetObject(ctx, bucketName, name(prefix, i), time.Hour, nil)
		if err != nil {
			return nil, err
		}
		urls = append(urls, u.String())
	}
	return urls, nil
}

func (s *store) client(slow bool) *minio.Client {
	if slow {
		return s.far
	}
	return s.near
}

// remove deletes what a push has written, so that memory does not fill up.
func (s *store) remove(ctx context.Context, prefix string) error {
	for o := range s.near.ListObjects(ctx, bucketName, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return o.Err
		}
		if err := s.near.RemoveObject(ctx, bucketName, o.Key, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	leftovers, err := os.ReadDir(s.trash)
	for _, entry := range leftovers {
		err = firstError(err, os.RemoveAll(filepath.Join(s.trash, entry.Name())))
	}
	return err
}
