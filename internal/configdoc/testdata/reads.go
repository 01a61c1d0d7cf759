package testdata

import "os"

const name = "RUNNERD_NEW"

var _ = os.Getenv(name)
