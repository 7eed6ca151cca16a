package xds

import (
	"cmp"
	"slices"
	"strings"
)

// Release is a version of Envoy that connected Envoys of a Gateway have.
type Release struct {
	Gateway             string
	Major, Minor, Patch uint32
}

// Releases are those of all connected Envoys that say which they are of, by Gateway, the oldest first. Other clients are not among them. Its work is in
// proportion to the streams.
func (s *Server) Releases() []Release {
	found := map[Release]bool{}
	s.mu.Lock()
	for st := range s.streams {
		version := st.described.GetUserAgentBuildVersion().GetVersion()
		if st.described.GetUserAgentName() == "envoy" && version != nil {
			found[Release{st.node.gateway, version.GetMajorNumber(), version.GetMinorNumber(), version.GetPatch()}] = true
		}
	}
	s.mu.Unlock()
	all := make([]Release, 0, len(found))
	for release := range found {
		all = append(all, release)
	}
	slices.SortFunc(all, func(a, b Release) int {
		return cmp.Or(strings.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Patch, b.Patch))
	})
	return all
}
