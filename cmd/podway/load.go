package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher/files"
)

// loaded is a configuration that was read once, and all that it becomes.
type loaded struct {
	// directory that kubeconfigs are relative to.
	directory string
	cfg       *snapshot.Config
	plan      *translator.Plan
	endpoints map[types.NamespacedName]translator.Endpoints
	clashes   []translator.Clash
}

// load reads paths and translates what is there. Mistakes in the files are no error, but Problems of the result.
func load(paths []string, options files.Options) (*loaded, error) {
	if err := checkPaths(paths); err != nil {
		return nil, err
	}
	state, err := files.Load(paths, options)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	directory := paths[0]
	if info, err := os.Stat(directory); err == nil && !info.IsDir() {
		directory = filepath.Dir(directory)
	}
	out := &loaded{directory: directory, cfg: state.Config, plan: translator.Translate(state.Config, nil), endpoints: map[types.NamespacedName]translator.Endpoints{}}
	live := func(key pods.ServiceKey) *pods.Set { return state.Pods[key] }
	for _, tunnel := range out.plan.AllTunnels() {
		made := out.plan.Endpoints(tunnel, live)
		if made.Resource, err = made.Resource.Decoded(); err != nil { // a person wants to read it
			return nil, err
		}
		out.endpoints[tunnel] = made
	}
	out.clashes = out.plan.Clashes(live, nil)
	return out, nil
}

// checkPaths finds what a person most often mistypes before anything is read.
func checkPaths(paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			var pathErr *fs.PathError
			if errors.As(err, &pathErr) {
				err = pathErr.Err
			}
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// problems returns all Problems, those of endpoints included, located and sorted.
func (l *loaded) problems() []api.Problem {
	var all []api.Problem
	all = append(all, l.cfg.Problems...)
	all = append(all, credentialProblems(l.cfg, l.directory)...)
	all = append(all, l.plan.Problems()...)
	for _, endpoints := range l.endpoints {
		for _, problem := range endpoints.Problems {
			all = append(all, l.cfg.Locate(problem))
		}
	}
	return api.SortProblems(append(all, l.plan.ClashProblems(l.clashes)...))
}

// resources returns all that the Envoys of a Gateway get, as serve would send it.
func (l *loaded) resources(gateway types.NamespacedName) ([]*api.Resource, error) {
	resources, served := l.plan.Served(l.endpoints)[gateway.String()]
	if served {
		return resources, nil
	}
	names := gatewayNames(l.plan)
	if len(names) == 0 {
		return nil, fmt.Errorf("no Gateway %s is served, nor any other; podway validate says why", gateway)
	}
	return nil, fmt.Errorf("no Gateway %s is served; these are: %s", gateway, joinLimited(names, 10))
}
