package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/saracen/fastzip"
)

// The reference for what GitLab Runner's helper does by default: a zip made by
// several workers into a temporary file, then one request.

func zipFile(ctx context.Context, t task) error {
	file, err := os.Create(t.File)
	if err != nil {
		return err
	}
	defer file.Close()
	a, err := fastzip.NewArchiver(file, t.Dir)
	if err != nil {
		return err
	}
	defer a.Close()
	files := map[string]os.FileInfo{}
	err = filepath.WalkDir(t.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		files[path], err = entry.Info()
		return err
	})
	return firstError(err, a.Archive(ctx, files))
}

func zipOnly(ctx context.Context, t task) (outcome, error) {
	if err := zipFile(ctx, t); err != nil {
		return outcome{}, err
	}
	info, err := os.Stat(t.File)
	if err != nil {
		return outcome{}, err
	}
	return outcome{Bytes: info.Size()}, nil
}

const zipBuffer = 4 << 20

func zipPush(ctx context.Context, t task) (outcome, error) {
	o, err := zipOnly(ctx, t)
	if err != nil {
		return o, err
	}
	file, err := os.Open(t.File)
	if err != nil {
		return o, err
	}
	defer file.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, t.URLs[0], bufio.NewReaderSize(file, zipBuffer))
	if err != nil {
		return o, err
	}
	request.ContentLength = o.Bytes
	for k, v := range t.Headers {
		request.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return o, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return o, fmt.Errorf("PUT: %s", answer.Status)
	}
	return o, nil
}

func zipRestore(ctx context.Context, t task) (outcome, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URLs[0], nil)
	if err != nil {
		return outcome{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return outcome{}, err
	}
	defer answer.Body.Close()
	file, err := os.Create(t.File)
	if err != nil {
		return outcome{}, err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, zipBuffer)
	n, err := io.Copy(out, answer.Body)
	if err := firstError(err, out.Flush()); err != nil {
		return outcome{}, err
	}
	e, err := fastzip.NewExtractorFromReader(file, n, t.Dir)
	if err != nil {
		return outcome{}, err
	}
	defer e.Close()
	return outcome{Bytes: n}, e.Extract(ctx)
}
