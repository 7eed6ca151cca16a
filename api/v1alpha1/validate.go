package v1alpha1

import "github.com/podway/podway/api"

// Validate returns what is wrong with a tunnel whose defaults are set.
func (t *Tunnel) Validate() []api.Problem { return nil }

// Validate returns what is wrong with a member cluster whose defaults are set.
func (m *MemberCluster) Validate() []api.Problem { return nil }

// Validate returns what is wrong with parameters whose defaults are set.
func (g *GatewayParameters) Validate() []api.Problem { return nil }
