// Package cmd is the root of the module that holds the command line tool. The
// tool has a module of its own so that its dependencies stay out of the
// library's.
package cmd
