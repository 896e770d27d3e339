// Mutants applies small faults to the library, one at a time, and runs the
// tests that should fail because of each. A mutant that no test kills names a
// property that the tests do not hold.
//
// A kill is a test that fails, or a panic. A mutant that does not build is broken,
// and a time-out is no kill: the machine may be busy. The tests run once without
// any mutant before, and have to pass.
//
// The faults are in mutants.txt. The sources are not changed: the go command
// reads each mutated file through its -overlay flag.
//
//	go run ./e2e/mutants             # all of them; exit status 1 if one survives
//	go run ./e2e/mutants -run 'ack'  # those whose name matches
package main
