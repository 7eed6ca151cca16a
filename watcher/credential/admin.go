package credential

import (
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/types"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // administrators' kubeconfigs may have it, those of member clusters may not
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Admin reads the kubeconfig of a person who administers a cluster, who may use all that kubectl may: programs and other files too. It is for
// what that person asks for in a shell, and never for a MemberCluster. context is the name of one of its contexts; empty for the current one.
func Admin(path, context string) (*rest.Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", path, reasonOf(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", path, errNotRegular)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s cannot be read: %s", path, why(err))
	}
	name := context
	if name == "" {
		name = config.CurrentContext
	}
	switch {
	case name == "":
		return nil, fmt.Errorf("the kubeconfig %s has no current-context: name one of its contexts with --context", path)
	case config.Contexts[name] == nil:
		return nil, fmt.Errorf("the kubeconfig %s has no context %q", path, short(name))
	}
	// From a file, so that the paths in it are relative to where it is.
	out, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig %s: %w", path, err)
	}
	out.WarningHandler = rest.NoWarnings{}
	return out, nil
}

// AccountOf is the ServiceAccount whose token a kubeconfig holds, whether or not podway would connect with it; empty where there is none.
func AccountOf(kubeconfig []byte) types.NamespacedName {
	if len(kubeconfig) > MaxBytes {
		return types.NamespacedName{}
	}
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return types.NamespacedName{}
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil || config.AuthInfos[context.AuthInfo] == nil {
		return types.NamespacedName{}
	}
	return claimsOf(config.AuthInfos[context.AuthInfo].Token).serviceAccount
}
