package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
)

// adminFlags say by whose rights something is done in a member cluster, and to which access.
type adminFlags struct {
	kubeconfig, context string
	// options have the names of the access.
	options access.Options
}

func addAdminFlags(cmd *cobra.Command) *adminFlags {
	out := &adminFlags{}
	flags := cmd.Flags()
	flags.StringVar(&out.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of somebody who may administer the cluster; nothing of it is kept")
	flags.StringVar(&out.context, "context", "", "`NAME` of a context in it (default its current-context)")
	flags.StringVar(&out.options.ServiceAccount, "service-account", "", "`NAME` of the ServiceAccount, where two podways call the cluster by one name (default podway-CLUSTER)")
	flags.StringVar(&out.options.Namespace, "service-account-namespace", access.DefaultNamespace, "`NAMESPACE` of the ServiceAccount")
	complete(cmd, "context")
	complete(cmd, "service-account")
	complete(cmd, "service-account-namespace")
	return out
}

// config reads the kubeconfig.
func (f *adminFlags) config() (*rest.Config, error) {
	config, err := credential.Admin(f.kubeconfig, f.context)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	config.UserAgent = userAgent()
	return config, nil
}

// userAgent is what podway calls itself to API servers.
func userAgent() string { return "podway/" + readVersion().Version }
