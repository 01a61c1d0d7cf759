package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Every object lies at
//
//	<prefix>v1/<project id>/<class>/<hash of the key>/head
//	<prefix>v1/<project id>/<class>/<hash of the key>/used
//	<prefix>v1/<project id>/<class>/<hash of the key>/o/<layer id>/<nnnnn>
//
// so neither a key nor a head can shape a name. A tier is part of the hash.
const (
	layoutVersion = "v1/"
	headObject    = "head"
	usedObject    = "used"
	layersFolder  = "o/"
)

// maxSegments is how many segments a layer may have: 62 GiB or more, and heads
// stay small.
const maxSegments = 2400

// A place is where one key of a project lies.
type place struct {
	project int64
	class   Class
	hash    string // of the key, and of the tier if there is one
}

func placeOf(project int64, class Class, tier, key string) place {
	return place{project: project, class: class, hash: hashKey(tier, key)}
}

// keyHashLength is the length of what stands for a key in names.
const keyHashLength = 32

// hashKey is what stands for a key in names. Without a tier it is the hash of
// the key alone, as it was before there were tiers.
//
// With one, no key comes to the same place from another tier, nor from none: the
// byte 0xff, which is not in any UTF-8 and so not in a key that is used, sets
// tiers apart from none, and the sum of a tier always has the same length.
func hashKey(tier, key string) string {
	text := []byte(key)
	if tier != "" {
		of := sha256.Sum256([]byte(tier))
		text = slices.Concat([]byte{0xff}, of[:], text)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:keyHashLength]
}

// A folder is the name of a place; it ends in a slash.
type folder string

// root is the name of the folder of all caches, or of one project's.
func (c *Cache) root(project int64) string {
	name := c.prefix + layoutVersion
	if project != 0 {
		name += strconv.FormatInt(project, 10) + "/"
	}
	return name
}

func (c *Cache) folder(p place) folder {
	return folder(c.root(p.project) + string(p.class) + "/" + p.hash + "/")
}

func (f folder) head() string { return string(f) + headObject }
func (f folder) used() string { return string(f) + usedObject }

// layer is the prefix of a layer's segments.
func (f folder) layer(id string) string { return string(f) + layersFolder + id + "/" }

func (f folder) segment(id string, n int) string { return fmt.Sprintf("%s%05d", f.layer(id), n) }

// A parsedName is what the name of an object says.
type parsedName struct {
	place
	object  string // headObject, usedObject, or "" for a segment
	layer   string // of a segment
	segment int
}

// parse takes a name apart that this package may have made. What it does not
// understand is somebody else's, and is left alone.
func (c *Cache) parse(name string) (parsedName, bool) {
	rest, ok := strings.CutPrefix(name, c.root(0))
	if !ok {
		return parsedName{}, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 4 && len(parts) != 6 {
		return parsedName{}, false
	}
	project, err := strconv.ParseInt(parts[0], 10, 64)
	n := parsedName{place: place{project: project, class: Class(parts[1]), hash: parts[2]}}
	if err != nil || project <= 0 || parts[0] != strconv.FormatInt(project, 10) || !n.class.valid() || !isHex(n.hash, keyHashLength) {
		return parsedName{}, false
	}
	if len(parts) == 4 {
		n.object = parts[3]
		return n, n.object == headObject || n.object == usedObject
	}
	n.layer = parts[4]
	n.segment, err = strconv.Atoi(parts[5])
	ok = err == nil && n.segment >= 0 && parts[5] == fmt.Sprintf("%05d", n.segment)
	return n, ok && parts[3]+"/" == layersFolder && validLayerID(n.layer)
}

// isHex reports whether s is n digits as package hex writes them.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
