// Package access makes, checks, renews and revokes what podway may do in a
// member cluster. It speaks to API servers in a few plain requests, and it
// knows neither where credentials are kept nor when they are to be renewed.
package access

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const (
	// DefaultNamespace is where the ServiceAccounts are. It is a namespace of its own, so that it can go as a whole
	// when the last of them goes: not kube-system, which people guard, nor one that a podway in that cluster would run in.
	DefaultNamespace = "podway-access"
	// FieldManager is what the API servers know podway by, where it applies manifests.
	FieldManager = "podway"

	// DefaultTokenLifetime bounds how long a lost token is of use, and how long podway may be away before its
	// access has to be made anew.
	DefaultTokenLifetime = 30 * 24 * time.Hour
	// MinTokenLifetime is the least that API servers allow.
	MinTokenLifetime = 10 * time.Minute
	// MaxTokenLifetime is the most that podway asks for. API servers may give less.
	MaxTokenLifetime = 365 * 24 * time.Hour

	// LabelManagedBy is on all that podway makes in a member cluster, with the value of ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "podway"
	// LabelMemberCluster is on all that one MemberCluster needs, with its name.
	LabelMemberCluster = "podway.dev/member-cluster"

	// uidNamespace is the namespace by whose UID a cluster is known.
	uidNamespace = "kube-system"
)

// labelOf is a MemberCluster's name as the value of a label, which may have 63 characters.
func labelOf(cluster string) string {
	const limit, kept = 63, 46
	if len(cluster) <= limit {
		return cluster
	}
	hash := sha256.Sum256([]byte(cluster))
	return cluster[:kept] + "-" + hex.EncodeToString(hash[:8])
}

// defaultServiceAccount is the name of the ServiceAccount of a MemberCluster.
// Several podways may use one cluster: each with a name of its own for it, or
// with a name of its own for the ServiceAccount.
func defaultServiceAccount(cluster string) string { return "podway-" + labelOf(cluster) }
