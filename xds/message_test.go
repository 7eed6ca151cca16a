package xds

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContentThatEnvoyRepeatsIsNotInItsReason(t *testing.T) {
	for message, want := range map[string]string{
		"malformed IP address: x": "malformed IP address: x",
		"Error adding/updating listener(s) l: cannot bind '127.0.0.1:1': Address already in use\n\n":                                                                                                "Error adding/updating listener(s) l: cannot bind '127.0.0.1:1': Address already in use",
		"goo.gle/debugproto   \nname: \"s\"\ntls_certificate {\n  private_key {\n    inline_string: \"SESAME\\n: \"\n  }\n}\n: Proto constraint validation failed (SecretValidationError.Name: no)": "Proto constraint validation failed (SecretValidationError.Name: no)",
		"Invalid duration: Expected positive duration: goo.gle/debugproto   \nnanos: -1\n\n":                                                                                                        "Invalid duration: Expected positive duration",
		"goo.gle/debugproto\nname: \"SESAME":               "Envoy gives no reason in the space it has; see its log",
		"first: goo.gle/debugproto\nname: \"x\"\n: second": "first; second",
		"": "",
	} {
		require.Equal(t, want, reasonOf(message))
	}
}

func TestReasonHoldsNothingThatActsOnATerminal(t *testing.T) {
	require.Equal(t, "a[31mred\n\tb", reasonOf("a\x1b[31mred\n\tb\x00\u009b"))
}
