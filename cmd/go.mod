module github.com/flightpath-dtls/flightpath/cmd

go 1.26.0

require (
	github.com/fatih/color v1.19.0
	github.com/flightpath-dtls/flightpath v0.0.0
	github.com/peterbourgon/ff/v3 v3.4.0
)

require (
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/flightpath-dtls/flightpath => ../
