package controlplane

import (
	"fmt"

	"github.com/podway/podway/xds"
)

// codeEnvoyTooOld is an Envoy that leaves out, without a word, some of what it is sent.
const codeEnvoyTooOld = "EnvoyTooOld"

// oldestMajor and oldestMinor are the first release of Envoy that knows retry_policy and hash_policy of a Cluster (HttpProtocolOptions). Older ones log a
// warning of an unknown field, and acknowledge the Cluster.
const oldestMajor, oldestMinor = 1, 37

// newOutdatedWatch tells of Gateways with Envoys that are too old. look is xds.Server.Releases.
func newOutdatedWatch(look func() []xds.Release) *gatewayWatch {
	return &gatewayWatch{
		code: codeEnvoyTooOld, others: "that are too old",
		look: func() []found {
			var all []found
			for _, release := range look() {
				if release.Major > oldestMajor || release.Major == oldestMajor && release.Minor >= oldestMinor {
					continue
				}
				all = append(all, found{gateway: release.Gateway, what: fmt.Sprintf("%d.%d.%d", release.Major, release.Minor, release.Patch)})
			}
			return all
		},
		words: func(_ []string, named string) (message, remedy string) {
			return fmt.Sprintf("Envoys of version %s leave out the retries and the consistent hash of tunnels: a request that meets a Pod that is gone fails, "+
					"and clients do not stay at one Pod", named),
				fmt.Sprintf("upgrade them to %d.%d or later; podway envoys names them", oldestMajor, oldestMinor)
		},
	}
}
