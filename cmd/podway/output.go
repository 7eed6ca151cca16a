package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// outputFormat is how a command prints its data.
type outputFormat string

// The formats.
const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
	outputYAML  outputFormat = "yaml"
)

// String is for pflag.
func (f *outputFormat) String() string { return string(*f) }

// Type is for pflag.
func (f *outputFormat) Type() string { return "string" }

// Set is for pflag.
func (f *outputFormat) Set(value string) error {
	switch outputFormat(value) {
	case outputTable, outputJSON, outputYAML:
		*f = outputFormat(value)
		return nil
	}
	return fmt.Errorf("must be one of table, json, yaml")
}

// addOutputFlag adds -o to a command and returns where its value will be.
func addOutputFlag(cmd *cobra.Command) *outputFormat {
	format := outputTable
	cmd.Flags().VarP(&format, "output", "o", "`FORMAT` to print: table, json or yaml")
	complete(cmd, "output", "table", "json", "yaml")
	return &format
}

// complete offers fixed values for a flag.
func complete(cmd *cobra.Command, flag string, values ...cobra.Completion) {
	completeWith(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func completeWith(cmd *cobra.Command, flag string, function cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, function); err != nil {
		panic(err) // only for a flag that is not there: every test that makes the command finds it
	}
}

// printData writes value as JSON or YAML.
func printData(w io.Writer, format outputFormat, value any) error {
	if format == outputYAML {
		data, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("encoding YAML: %w", err)
		}
		return write(w, data)
	}
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding JSON: %w", err)
	}
	return write(w, append(data, '\n'))
}

// printTable writes rows in columns; the first row is the header.
func printTable(w io.Writer, rows [][]string) error {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t")) // a buffer takes all
	}
	_ = table.Flush()
	for line := range strings.Lines(text.String()) {
		if err := write(w, []byte(strings.TrimRight(line, " \n")+"\n")); err != nil {
			return err
		}
	}
	return nil
}

func write(w io.Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
