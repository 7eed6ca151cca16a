package main

import (
	"fmt"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// codeClusterNotRead is a member cluster whose source this release has no reader for.
const codeClusterNotRead = "ClusterNotRead"

// unreadClusters says which member clusters nothing will ever be known of, so
// that a tunnel does not wait for them without a word.
func unreadClusters(cfg *snapshot.Config) []api.Problem {
	var problems []api.Problem
	for name, cluster := range cfg.MemberClusters {
		if cluster.Spec.Source.Type != v1alpha1.ClusterSourceKubeconfig || cfg.Synced[name] != nil {
			continue
		}
		problems = append(problems, cfg.Locate(api.Problem{
			Code: codeClusterNotRead, Severity: api.Warning,
			Object:     api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: name},
			Generation: cluster.Generation,
			Field:      "spec.source.type",
			Message:    fmt.Sprintf("podway does not read clusters of type %s yet, so that tunnels get no Pods of this one", cluster.Spec.Source.Type),
			Remedy:     "use type Objects, with what kubectl get service,endpointslice,pod -o yaml prints",
		}))
	}
	return problems
}
