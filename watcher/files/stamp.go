package files

import (
	"io/fs"
	"os"
	"strings"
	"time"
)

// found is a file that is to be read. home is that of the listing that it is from.
type found struct {
	path, resolved, home string
	stamp                stamp
}

// comparePath is the order of a listing's files.
func (f found) comparePath(path string) int { return strings.Compare(f.path, path) }

// stamp tells one version of a file from another.
type stamp struct {
	size     int64
	modified time.Time
	info     fs.FileInfo
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{size: info.Size(), modified: info.ModTime(), info: info}
}

// sameFile says whether two stamps are of one inode.
func (s stamp) sameFile(other stamp) bool {
	return s.info != nil && other.info != nil && os.SameFile(s.info, other.info)
}

func (s stamp) equal(other stamp) bool {
	return s.size == other.size && s.modified.Equal(other.modified) && s.sameFile(other)
}
