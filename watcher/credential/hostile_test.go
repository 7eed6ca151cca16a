package credential

import (
	"strings"
	"testing"
)

// A kubeconfig of a Secret can be anybody's: what it costs has a limit.
func TestHostileKubeconfigsAreRefusedSoon(t *testing.T) {
	aliases := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		aliases += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 8) + "*" + string(c-1) + "]\n"
	}
	for name, text := range map[string]string{
		"Brackets": strings.Repeat("[", MaxBytes),
		"Braces":   strings.Repeat("{a: ", MaxBytes/4),
		"Dashes":   strings.Repeat("- ", MaxBytes/2),
		"Aliases":  aliases,
		"Name":     strings.Replace(kubeconfig(plainServer, plainUser), "current-context: main\n", "current-context: "+strings.Repeat("x", MaxBytes/2)+"\n", 1),
		"Nulls":    strings.Repeat("\x00", MaxBytes),
	} {
		lines := said(t, text, FromSecret)
		if len(lines) != 1 || len(lines[0]) > 512 {
			t.Errorf("%s: %d lines, the first of %d bytes", name, len(lines), len(lines[0]))
		}
	}
}
