package credential

import (
	"strings"
	"testing"
)

// FuzzParse checks for any input that there is a credential if and only if nothing is wrong, that it can be written and read
// back, and that no message has a secret of it.
func FuzzParse(f *testing.F) {
	for _, test := range refusals {
		if len(test.text) < 4096 {
			f.Add([]byte(test.text), false)
		}
	}
	f.Add([]byte(kubeconfig(plainServer+", certificate-authority-data: "+b64(good().certificate), "token: "+serviceAccountToken)), true)
	f.Add([]byte(kubeconfig(plainServer, "client-certificate-data: "+b64(good().certificate)+", client-key-data: "+b64(good().key))), false)
	f.Fuzz(func(t *testing.T, data []byte, secret bool) {
		origin := Origin{Cluster: "east"}
		if secret {
			origin.Source = FromSecret
		}
		c, problems := Parse(data, origin)
		refused := false
		for _, problem := range problems {
			refused = refused || problem.Severity == "Error"
			// Names of contexts, clusters and users may be quoted; the word of the seeds is only in secrets there.
			if quoted := strings.Contains(problem.Message, `"`); !quoted && strings.Contains(problem.String(), secretWord) {
				t.Errorf("a secret in %s", problem)
			}
		}
		if refused == (c != nil) {
			t.Fatalf("a credential: %v, problems: %v", c != nil, problems)
		}
		if c == nil {
			return
		}
		text, err := c.Kubeconfig()
		if err != nil {
			t.Fatal(err)
		}
		if again, problems := Parse(text, origin); !again.Equal(c) {
			t.Fatalf("read back as another one: %v, %v", again, problems)
		}
		_ = c.RESTConfig()
		_ = c.Fingerprint()
	})
}
