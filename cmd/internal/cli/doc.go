// Package cli is lnk's command tree (RFC 0682, section CLI): it turns a command line into one call of a service's
// contract or library and prints what comes back.
//
// Every subcommand is a [verb]: an argument struct, a result struct and a function between them. Flags and positional
// arguments are derived from the argument struct's tags, -o text|json|cbor from the result, the EXIT STATUS section of the
// help from the statuses that the verb lists. Commands use the [State] that they are given and never the process's own
// standard streams or environment; [Main] alone turns an error into text and an exit status.
//
// The package holds no logic of a service: what a verb needs more than a screenful for belongs into the service's package.
//
// # Rules of the user interface
//
// Results go to standard output, everything else to standard error, questions to the terminal. An error is one line,
// "lnk: cannot …: cause", and where there is a cure a second one, "lnk: hint: …". Commands that only read need neither a key
// nor an agent. Subcommands that lnk does not know run the program lnk-<name> from PATH; a builtin cannot be overridden.
package cli
