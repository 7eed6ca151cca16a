package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// logFlags say how to log.
type logFlags struct {
	level  logLevel
	format logFormat
}

func addLogFlags(cmd *cobra.Command) *logFlags {
	flags := &logFlags{level: logLevel(slog.LevelInfo), format: "text"}
	cmd.Flags().Var(&flags.level, "log-level", "least important `LEVEL` to log: debug, info, warn or error")
	cmd.Flags().Var(&flags.format, "log-format", "`FORMAT` of the log: text or json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	complete(cmd, "log-format", "text", "json")
	return flags
}

func (f *logFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(f.level)}
	if f.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// queued is a logger that nobody waits for, of which the queue is to be run.
func (f *logFlags) queued(w io.Writer) (*slog.Logger, *logQueue) {
	queue := newLogQueue(w, func(lines uint64) []byte {
		var line bytes.Buffer
		f.logger(&line).Warn("Lines of the log are lost", "lines", lines, "remedy", "see to what reads the log: it stood still, or could not be written to")
		return line.Bytes()
	})
	return f.logger(queue), queue
}

// logLevel is a pflag.Value.
type logLevel slog.Level

func (l *logLevel) String() string { return strings.ToLower(slog.Level(*l).String()) }

func (l *logLevel) Type() string { return "string" }

func (l *logLevel) Set(value string) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(value, level.String()) {
			*l = logLevel(level)
			return nil
		}
	}
	return fmt.Errorf("must be one of debug, info, warn, error")
}

// logFormat is a pflag.Value.
type logFormat string

func (f *logFormat) String() string { return string(*f) }

func (f *logFormat) Type() string { return "string" }

func (f *logFormat) Set(value string) error {
	if value != "text" && value != "json" {
		return fmt.Errorf("must be one of text, json")
	}
	*f = logFormat(value)
	return nil
}
