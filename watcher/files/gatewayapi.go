package files

import "github.com/podway/podway/api"

func checkGatewayAPI(kind string, content map[string]any) []api.Problem { return nil }
