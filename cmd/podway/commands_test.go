package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestCommandsAreDocumented keeps docs/commands.md equal to the help of the commands.
func TestCommandsAreDocumented(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("# Commands\n\nThis is what `podway COMMAND --help` prints. The exit code of every command is 0 if all is well, 1 if not, and 2 for\n" +
		"a mistake on the command line. `podway completion SHELL --help` tells how to complete commands, flags and Gateways in a shell.\n")
	for _, cmd := range commands(t) {
		out.WriteString("\n## " + cmd.CommandPath() + "\n\n")
		out.WriteString(cmd.Long + "\n\n```text\n" + cmd.UseLine() + "\n\n" + cmd.LocalFlags().FlagUsagesWrapped(120) + "```\n\n```sh\n" + dedent(cmd.Example) + "\n```\n")
	}
	const path = docs + "/commands.md"
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, out.Bytes()) {
		t.Error("docs/commands.md is not what the commands say: run go test ./cmd/podway -run TestCommandsAreDocumented -update, and read the diff")
	}
}

// commands returns podway's commands, without cobra's own.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	var all []*cobra.Command
	var add func([]*cobra.Command)
	add = func(some []*cobra.Command) {
		for _, cmd := range some {
			if cmd.Name() != "completion" && cmd.Name() != "help" {
				cmd.InitDefaultHelpFlag()
				all = append(all, cmd)
				add(cmd.Commands())
			}
		}
	}
	add(newRootCommand().Commands())
	if len(all) < 7 {
		t.Fatalf("only %d commands", len(all))
	}
	return all
}

func dedent(text string) string { return strings.ReplaceAll("\n"+text, "\n  ", "\n")[1:] }

// TestExamplesOfHelpParse checks that every command has examples, and that each is a command line that its flags accept.
func TestExamplesOfHelpParse(t *testing.T) {
	for _, cmd := range commands(t) {
		if cmd.Long == "" && cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s has no help or no example of itself", cmd.Name())
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(cmd.Example, "\\\n", ""), "\n") {
			_, line, found := strings.Cut(line, "podway ")
			if !found || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			line, _, _ = strings.Cut(strings.TrimSuffix(line, ")"), " > ")
			root := newRootCommand()
			target, args, err := root.Find(strings.Fields(line))
			if err != nil || target == root {
				t.Errorf("%s: the example %q is no command: %v", cmd.Name(), line, err)
				continue
			}
			if err := target.ParseFlags(args); err != nil {
				t.Errorf("%s: the example %q: %v", cmd.Name(), line, err)
			}
		}
	}
}

// TestEveryFlagIsExplained checks that a flag says what it is, and names its value.
func TestEveryFlagIsExplained(t *testing.T) {
	for _, cmd := range commands(t) {
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if flag.Usage == "" {
				t.Errorf("%s --%s has no help", cmd.Name(), flag.Name)
			}
			if flag.Value.Type() != "bool" && flagMeta(cmd, flag.Name) == "VALUE" {
				t.Errorf("%s --%s does not name its value in backquotes", cmd.Name(), flag.Name)
			}
		})
	}
}

// TestExitCodes tells a mistake on the command line from one in what was asked for.
func TestExitCodes(t *testing.T) {
	for line, want := range map[string]int{
		"version":                          exitOK,
		"help serve":                       exitOK,
		"validate testdata/base":           exitOK,
		"validate nowhere":                 exitFailed,
		"validate testdata/broken":         exitFailed,
		"problems --admin-address 127.1:1": exitFailed,
		"validate":                         exitUsage,
		"validate --nonsense":              exitUsage,
		"nonsense":                         exitUsage,
		"serve":                            exitUsage,
		"bootstrap --gateway x":            exitUsage,
		"problems --admin-address %":       exitUsage,
		"envoys --admin-address 127.1:1":   exitFailed,
		"envoys a b":                       exitUsage,
		"envoys --rows -1":                 exitUsage,
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), nil, &stdout, &stderr); code != want {
			t.Errorf("podway %s: exit code %d, want %d; stderr: %s", line, code, want, &stderr)
		}
		if lines := strings.Count(stderr.String(), "\n"); lines > 1 || lines == 1 && !strings.HasPrefix(stderr.String(), "podway: ") {
			t.Errorf("podway %s says on stderr: %s", line, &stderr)
		}
	}
}
