package main

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print into testdata/script and docs/commands.md, for the diff to be read")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"podway": main})
}

// TestScripts runs testdata/script: what a person sees of each command. Every script finds the good configuration of
// testdata/base in the directory base.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			return os.CopyFS(env.WorkDir+"/base", os.DirFS("testdata/base"))
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"repeat": scriptRepeat, "fromhex": scriptFromHex, "append": scriptAppend,
			"ownonly": scriptOwnOnly, "tlssecret": scriptTLSSecret, "cafile": scriptCAFile,
		},
	})
}

// scriptRepeat is `repeat COUNT FROM TO`: it appends FROM to TO that many times, with {n} counting from 1.
func scriptRepeat(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: repeat COUNT FROM TO")
	}
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	content := ts.ReadFile(args[1])
	var out bytes.Buffer
	for n := range times {
		out.WriteString(strings.ReplaceAll(content, "{n}", strconv.Itoa(n+1)))
	}
	appendFile(ts, args[2], out.Bytes())
}

// scriptAppend is `append FROM TO`.
func scriptAppend(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: append FROM TO")
	}
	appendFile(ts, args[1], []byte(ts.ReadFile(args[0])))
}

// scriptFromHex is `fromhex TO HEX...`: it appends bytes that a script cannot hold.
func scriptFromHex(ts *testscript.TestScript, _ bool, args []string) {
	data, err := hex.DecodeString(strings.Join(args[1:], ""))
	ts.Check(err)
	appendFile(ts, args[0], data)
}

func appendFile(ts *testscript.TestScript, name string, data []byte) {
	file, err := os.OpenFile(ts.MkAbs(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	ts.Check(err)
	_, err = file.Write(data)
	ts.Check(err)
	ts.Check(file.Close())
}

// scriptOwnOnly is `ownonly FILE...`: it fails where others than the owner may read one.
func scriptOwnOnly(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if info.Mode().Perm() != 0o600 {
			ts.Fatalf("%s has the mode %v", name, info.Mode())
		}
	}
}

// scriptTLSSecret is `tlssecret TO NAMESPACE/NAME CERTIFICATE KEY`: a Secret
// with the certificate of one of the pairs valid, expired, other, and the key of one.
func scriptTLSSecret(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: tlssecret TO NAMESPACE/NAME CERTIFICATE KEY")
	}
	namespace, name, _ := strings.Cut(args[1], "/")
	appendFile(ts, args[0], []byte(tlsSecretYAML(namespace, name, pair(args[2]).certificate, pair(args[3]).key)))
}

// scriptCAFile is `cafile TO NAMESPACE/NAME`: a ConfigMap with an authority.
func scriptCAFile(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: cafile TO NAMESPACE/NAME")
	}
	namespace, name, _ := strings.Cut(args[1], "/")
	appendFile(ts, args[0], fmt.Appendf(nil, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s}\ndata:\n  ca.crt: |\n%s",
		namespace, name, indent(pair("valid").certificate)))
}
