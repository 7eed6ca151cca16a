package files

import (
	"fmt"
	"io"
	"os"

	"github.com/podway/podway/api"
)

// read returns the content of a file. unstable is true where the file changed
// while it was read; it is then to be read again.
func read(f found, limit int64, option string) (text []byte, now stamp, unstable bool, problem *api.Problem) {
	fail := func(err error) ([]byte, stamp, bool, *api.Problem) {
		p := unreadable(f.path, "the file cannot be read: "+reason(err), "let podway read it, or remove it")
		return nil, f.stamp, os.IsNotExist(err), &p
	}
	file, err := os.OpenFile(f.real, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	if !before.Mode().IsRegular() {
		return fail(fmt.Errorf("it is not a regular file"))
	}
	if before.Size() > limit {
		return nil, stampOf(before), false, tooLarge(f.path, before.Size(), limit, option)
	}
	text = make([]byte, 0, before.Size()+1)
	text, err = appendAll(text, io.LimitReader(file, limit+1))
	if err != nil {
		return fail(err)
	}
	if int64(len(text)) > limit {
		return nil, stampOf(before), false, tooLarge(f.path, int64(len(text)), limit, option)
	}
	after, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	now = stampOf(after)
	return text, now, !now.equal(stampOf(before)) || int64(len(text)) != after.Size(), nil
}

func appendAll(text []byte, from io.Reader) ([]byte, error) {
	for {
		n, err := from.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
	}
}

func tooLarge(path string, size, limit int64, option string) *api.Problem {
	return &api.Problem{
		Code: api.CodeTooLarge, Severity: api.Error, File: path,
		Message: fmt.Sprintf("the file has %d bytes; at most %d are read", size, limit),
		Remedy:  "split the file, or raise the limit with " + option,
	}
}
