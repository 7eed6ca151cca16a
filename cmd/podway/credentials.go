package main

import (
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/credential"
)

// credentialProblems says what is wrong with the kubeconfigs that are there. One that is not there is no mistake: kubeconfigs are
// secrets, and a configuration is checked where they are not kept.
func credentialProblems(cfg *snapshot.Config, directory string) []api.Problem {
	var problems []api.Problem
	for _, cluster := range cfg.MemberClusters {
		source := cluster.Spec.Source.Kubeconfig
		if source == nil {
			continue
		}
		if !isThere(source, directory, cfg.Secrets) {
			continue
		}
		_, found := credential.Load(cluster, directory, cfg.Secrets)
		for _, problem := range found {
			problems = append(problems, cfg.Locate(problem))
		}
	}
	return problems
}

func isThere(source *v1alpha1.KubeconfigSource, directory string, secrets map[types.NamespacedName]*corev1.Secret) bool {
	if ref := source.SecretRef; ref != nil {
		return secrets[types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}] != nil
	}
	_, err := os.Stat(filepath.Join(directory, filepath.FromSlash(source.File)))
	return err == nil
}
