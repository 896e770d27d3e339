package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func newVersionCommand(out io.Writer) *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "flightpath version",
		ShortHelp:  "the versions of this program, of the library in it and of Go",
		FlagSet:    newFlagSet("flightpath version"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return badUsage("version takes no arguments, not %q", args)
			}
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{GoVersion: runtime.Version()}
			}
			printVersion(out, info)
			return nil
		},
	}
}

// library is the module path of package dtls.
const library = "github.com/flightpath-dtls/flightpath"

// printVersion prints what the linker has recorded.
func printVersion(out io.Writer, info *debug.BuildInfo) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	fmt.Fprintf(out, "flightpath %s\n", orUnknown(info.Main.Version))
	for _, m := range info.Deps {
		if m.Path != library {
			continue
		}
		version := m.Version
		if m.Replace != nil {
			version = "from " + m.Replace.Path // a directory beside the command
		}
		fmt.Fprintf(out, "library    %s\n", orUnknown(version))
	}
	fmt.Fprintf(out, "go         %s %s/%s\n", info.GoVersion, runtime.GOOS, runtime.GOARCH)
	revision := orUnknown(settings["vcs.revision"])
	if at := settings["vcs.time"]; at != "" {
		revision += ", " + at
	}
	if settings["vcs.modified"] == "true" {
		revision += ", modified"
	}
	fmt.Fprintf(out, "revision   %s\n", revision)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
