// Package fleet is the set of member clusters that have an API server. It connects to each on its own, so that no cluster's failure is another's;
// tries a new credential before it lets go of the old one; renews tokens; and remembers the last good Pods. It knows clusters and credentials,
// and not what tunnels make of Pods.
package fleet
