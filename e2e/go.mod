module github.com/flightpath-dtls/flightpath/e2e

go 1.26.0

require (
	github.com/flightpath-dtls/flightpath v0.0.0
	github.com/pion/dtls/v3 v3.1.15
)

require (
	github.com/pion/logging v0.2.4 // indirect
	github.com/pion/transport/v5 v5.0.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/flightpath-dtls/flightpath => ../
