package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api"
)

// The limits of asking a running serve.
const (
	problemsTimeout = 10 * time.Second
	problemsBytes   = 64 << 20
)

func newProblemsCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "problems",
		Short: "Print the Problems of a running podway serve",
		Long: `Print the Problems that a running podway serve has now, those that Envoys have reported
included. The exit code is 1 if there are any.`,
		Example: `  podway problems
  podway problems --admin-address 127.0.0.1:19000 -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&address, "admin-address", defaultAdminAddress, "`HOST:PORT` of the admin interface of podway serve")
	complete(cmd, "admin-address")
	format := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		problems, err := fetchProblems(cmd.Context(), address)
		if err != nil {
			return err
		}
		return printProblems(cmd.OutOrStdout(), *format, problems, "no problems\n")
	}
	return cmd
}

func fetchProblems(ctx context.Context, address string) ([]api.Problem, error) {
	ctx, cancel := context.WithTimeout(ctx, problemsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/problems", nil)
	if err != nil {
		return nil, usagef("--admin-address %q: want HOST:PORT", address)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment: it is our own server
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking podway serve at %s: %w; is it running, and is this its --admin-address?", address, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, problemsBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the problems from %s: %w", address, err)
	}
	var problems []api.Problem
	if response.StatusCode != http.StatusOK || json.Unmarshal(body, &problems) != nil {
		return nil, fmt.Errorf("%s answered %s, but not with a list of problems; is this the --admin-address of podway serve?", address, response.Status)
	}
	return problems, nil
}

// printProblems prints the problems, one a line with a closing count, or
// none in place of an empty table. It fails with errProblems if there are any.
func printProblems(w io.Writer, format outputFormat, problems []api.Problem, none string) error {
	if err := writeProblemList(w, format, problems, none); err != nil {
		return err
	}
	if len(problems) > 0 {
		return errProblems
	}
	return nil
}

func writeProblemList(w io.Writer, format outputFormat, problems []api.Problem, none string) error {
	if format != outputTable {
		if problems == nil {
			problems = []api.Problem{}
		}
		return printData(w, format, problems)
	}
	if len(problems) == 0 {
		return write(w, []byte(none))
	}
	for _, problem := range problems {
		if err := write(w, []byte(problem.String()+"\n")); err != nil {
			return err
		}
	}
	errors, warnings := countBySeverity(problems)
	return write(w, fmt.Appendf(nil, "%s: %s, %s\n", count(len(problems), "problem"), count(errors, "error"), count(warnings, "warning")))
}

// count says a number of things.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
