package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api"
)

func newProblemsCommand() *cobra.Command {
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
	address := addAdminAddressFlag(cmd)
	format := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		problems, err := fetchAdmin[[]api.Problem](cmd.Context(), *address, "/problems", "a list of problems")
		if err != nil {
			return err
		}
		return printProblems(cmd.OutOrStdout(), *format, problems, "no problems\n")
	}
	return cmd
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
		if err := write(w, []byte(printable(problem.String())+"\n")); err != nil {
			return err
		}
	}
	errors, warnings := countBySeverity(problems)
	return write(w, fmt.Appendf(nil, "%s: %s, %s\n", api.Count(len(problems), "problem"), api.Count(errors, "error"), api.Count(warnings, "warning")))
}

// countBySeverity returns how many errors and how many warnings there are.
func countBySeverity(problems []api.Problem) (errors, warnings int) {
	for _, problem := range problems {
		if problem.Severity == api.Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}
