package credential

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// contextName is what a kubeconfig that podway writes calls its only cluster, user and context.
const contextName = "podway"

// Kubeconfig renders the credential as a kubeconfig that needs no other file. Parse reads an equal credential from it. It holds the
// secrets.
func (c *Credential) Kubeconfig() ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.CurrentContext = contextName
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}
	config.Clusters[contextName] = &clientcmdapi.Cluster{
		Server: c.Server, TLSServerName: c.TLSServerName, InsecureSkipTLSVerify: c.Insecure,
		CertificateAuthorityData: c.CA, ProxyURL: c.ProxyURL, DisableCompression: c.DisableCompression,
	}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{Token: c.Token, ClientCertificateData: c.ClientCertificate, ClientKeyData: c.ClientKey}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("writing a kubeconfig for %s: %w", c.Server, err)
	}
	return data, nil
}
