package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
)

// TestTrafficGoesOnWhateverBecomesOfTheFiles has files written, replaced and lost in all the ways that are not meant to change anything.
func TestTrafficGoesOnWhateverBecomesOfTheFiles(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 3)
	path := filepath.Join(w.directory, "app.yaml")
	changes := 0
	// next is another form of all objects, and what routes add in it.
	next := func() (value, text string) {
		changes++
		value = fmt.Sprint("v", changes)
		return value, tunnelYAML("a", members("east/app=100")) + routeYAML("a", "a.example", []string{"a"}, header(value)) +
			tunnelYAML("b", members("east/app=50")) + routeYAML("b", "b.example", []string{"b"}, header(value))
	}
	served := func(value string) {
		t.Helper()
		w.awaitRoute("a.example", value)
		w.awaitRoute("b.example", value)
	}
	told := func(words ...string) {
		t.Helper()
		eventually(t, strings.Join(words, " and "), func() bool {
			problems := w.ask("problems")
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(problems, word) })
		})
	}
	value, text := next()
	w.write("app.yaml", text)
	w.start()
	w.awaitHosts("a", 100, app.Pods()...)
	served(value)
	under := func(name string, change func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			loads := []*demo.Running{w.load("a.example", 4, 100).Start(t.Context()), w.load("b.example", 4, 100).Start(t.Context())}
			change(t)
			for _, load := range loads {
				before := load.Tally().Requests
				eventually(t, "more requests", func() bool { return load.Tally().Requests >= before+30 })
				assert.NoError(t, load.Stop().Err())
			}
			told("no problems")
		})
	}
	under("a slow writer", func(t *testing.T) {
		value, text := next()
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		require.NoError(t, err)
		for part := range slices.Chunk([]byte(text), 200) {
			_, err := file.Write(part)
			require.NoError(t, err)
			<-time.After(50 * time.Millisecond)
		}
		require.NoError(t, file.Close())
		served(value)
	})
	under("writers that do not finish", func(t *testing.T) {
		_, text := next()
		for _, left := range []struct {
			size int
			told string
		}{
			{0, "the file was emptied"},
			{10, "a document is a string"},
			{len(text) / 4, "not valid YAML"},
			{len(text)/2 + 50, "a Tunnel has no name"},
		} {
			require.NoError(t, os.WriteFile(path, []byte(text[:left.size]), 0o644))
			told(left.told)
		}
		value, text := next()
		w.write("app.yaml", text)
		served(value)
	})
	under("an editor that renames", func(t *testing.T) {
		for range 10 {
			value, text := next()
			require.NoError(t, os.Rename(path, path+"~"))
			<-time.After(2 * time.Millisecond)
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			served(value)
		}
	})
	under("a link that leads nowhere", func(t *testing.T) {
		require.NoError(t, os.Symlink("nothing", path+".link"))
		require.NoError(t, os.Rename(path+".link", path))
		told("the symbolic link leads nowhere", "stays in force")
		value, text := next()
		w.write("app.yaml", text)
		served(value)
	})
	under("a link to a directory that is made anew", func(t *testing.T) {
		link := filepath.Join(w.directory, "current")
		for i := range 10 {
			value, text := next()
			release := fmt.Sprintf(".releases/%d", i)
			require.NoError(t, os.MkdirAll(filepath.Join(w.directory, release), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(w.directory, release, "app.yaml"), []byte(text), 0o644))
			if i > 0 {
				require.NoError(t, os.Remove(link))
				<-time.After(2 * time.Millisecond)
			}
			require.NoError(t, os.Symlink(release, link))
			if i == 0 {
				require.NoError(t, os.Remove(path))
			}
			served(value)
		}
		value, text := next()
		w.write("app.yaml", text)
		require.NoError(t, os.Remove(link))
		served(value)
	})
	under("a mounted ConfigMap", func(t *testing.T) {
		mounted := filepath.Join(w.directory, "mounted")
		data := filepath.Join(mounted, "..data")
		for i := range 10 {
			value, text := next()
			version := filepath.Join(mounted, fmt.Sprintf("..2026_%d", i))
			require.NoError(t, os.MkdirAll(version, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(version, "app.yaml"), []byte(text), 0o644))
			require.NoError(t, os.Symlink(filepath.Base(version), data+"_tmp"))
			before, err := os.Readlink(data)
			require.Equal(t, i > 0, err == nil)
			require.NoError(t, os.Rename(data+"_tmp", data))
			if i == 0 {
				require.NoError(t, os.Symlink("..data/app.yaml", filepath.Join(mounted, "app.yaml")))
				require.NoError(t, os.Remove(path))
			} else {
				require.NoError(t, os.RemoveAll(filepath.Join(mounted, before)))
			}
			served(value)
		}
		// What it leads to is away for a while.
		require.NoError(t, os.Rename(data, data+"_away"))
		told("mounted/app.yaml", "the symbolic link leads nowhere", "stays in force")
		require.NoError(t, os.Rename(data+"_away", data))
	})
	for _, directory := range []string{w.directory, filepath.Join(w.directory, "east")} {
		under("a directory that is away: "+filepath.Base(directory), func(t *testing.T) {
			away := filepath.Join(w.TempDir(), "away")
			require.NoError(t, os.Rename(directory, away))
			told(filepath.Base(directory), "cannot be read", "stays in force")
			require.NoError(t, os.Rename(away, directory))
			told("no problems")
			w.scale(app, 7-len(app.Pods()))
			w.awaitHosts("a", 100, app.Pods()...)
		})
	}
}
