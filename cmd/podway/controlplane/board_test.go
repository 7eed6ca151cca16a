package controlplane

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestLastLineOfAProblemWhoseMessageChangedSaysThatItIsThere(t *testing.T) {
	var log bytes.Buffer
	board := newProblemBoard(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey || a.Key == "message" {
			return a
		}
		return slog.Attr{}
	}})))
	for _, message := range []string{"an Envoy rejects it", "2 Envoys reject it"} {
		board.set(partRejections, []api.Problem{{Code: "RejectedByEnvoy", Object: api.ObjectRef{Kind: "Gateway", Name: "front"}, Message: message}})
	}
	require.Equal(t, "msg=\"Problem appeared\" message=\"an Envoy rejects it\"\n"+
		"msg=\"Problem resolved\"\n"+
		"msg=\"Problem appeared\" message=\"2 Envoys reject it\"\n", log.String())
}
