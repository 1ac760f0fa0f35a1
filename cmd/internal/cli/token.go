package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/token"
)

func tokenCommand(a *app) *cobra.Command {
	return noun("token", "issue and revoke tokens, which permit methods for a while or so many times",
		`A service may demand a token: for the methods that "require" lists in the table [tokens] of lnk.toml in the configuration
folder, and for every change that is asked for over TCP. A token permits what it was issued for, for a limited time, and if
you like only so often. It is shown with lnk --token-file, or over HTTP as Authorization: Bearer. docs/tokens.md tells more.`,
		tokenIssue(a), tokenList(a), tokenRevoke(a), tokenLog(a))
}

// client returns a client of the service at a socket, with the token of --token-file.
func (a *app) client(socket string) (*ipc.Client, error) {
	client := ipc.NewClient(socket, userAgent)
	if a.tokenFile == "" {
		return client, nil
	}
	if a.token == nil {
		text, err := a.readToken()
		if err != nil {
			return nil, fmt.Errorf("cannot read the token in %s: %w", a.tokenFile, err)
		}
		a.token = text
	}
	client.Token = a.token
	return client, nil
}

// maxTokenFile bounds what is read of --token-file, in bytes: far more than a token has.
const maxTokenFile = 1024

// readToken reads the one line of --token-file.
func (a *app) readToken() ([]byte, error) {
	in := a.Stdin
	if a.tokenFile != "-" {
		f, err := os.Open(a.tokenFile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxTokenFile+1))
	if err != nil {
		return nil, err
	}
	line := bytes.TrimSpace(data)
	if len(line) == 0 || len(data) > maxTokenFile || bytes.ContainsAny(line, "\r\n") {
		return nil, ipc.Errorf(ipc.BadRequest, "it should hold one line, the token").WithHint("lnk token issue --method METHOD --uses 1 >FILE")
	}
	return line, nil
}

type tokenIssueArgs struct {
	Method []string      `json:"method" help:"permit the methods that <PATTERN> names: git.refs, or git.* for all of git; may be repeated"`
	TTL    time.Duration `json:"ttl" help:"good for this <TIME>, at most 30d (default 5m with --uses)"`
	Uses   int           `json:"uses" help:"good for <N> uses, at most 10000 (default: any number)"`
}

// tokenIssued is a new token with its text, which nobody can show again.
type tokenIssued struct {
	token.Token
	Text string `json:"token" cbor:"6,keyasint"`
}

func tokenIssue(a *app) *cobra.Command {
	return verb[tokenIssueArgs, tokenIssued]{
		name:  "issue",
		short: "make a token and print it",
		long: `Issue makes a token and prints it alone on standard output: it is shown this once, and only its hash is stored. It permits the
methods of --method until --ttl has passed or it was used --uses times; at least one of the two must be given. Each use is
spent before the call begins and never comes back, also if the call fails.`,
		example: `  lnk token issue --method trust.sign --uses 1 | lnk --token-file - trust sign
  lnk token issue --method 'trust.*' --ttl 1h >token`,
		cannot: "issue a token",
		run: func(ctx context.Context, args tokenIssueArgs) (tokenIssued, error) {
			dirs, err := a.dirs()
			if err != nil {
				return tokenIssued{}, err
			}
			info, text, err := token.Open(dirs).Issue(ctx, token.Order{
				Methods: args.Method, TTL: args.TTL, Uses: args.Uses, Caller: fmt.Sprintf("process %d", os.Getpid()),
			})
			if err != nil {
				return tokenIssued{}, err
			}
			for _, pattern := range info.Methods {
				if !namesMethod(pattern) {
					a.note("no service that lnk knows has a method %s", pattern)
				}
			}
			return tokenIssued{info, text}, nil
		},
		text: func(w io.Writer, t tokenIssued) error {
			_, err := fmt.Fprintln(w, t.Text)
			return err
		},
	}.command(a)
}

// namesMethod reports whether a service that lnk knows has a method of that name or pattern.
func namesMethod(pattern string) bool {
	return slices.ContainsFunc(contracts(), func(m ipc.Method) bool { return token.Patterns{pattern}.Cover(m.Info().Name) })
}

func tokenList(a *app) *cobra.Command {
	return verb[none, []token.Token]{
		name:   "list",
		short:  "list the tokens that are good for something",
		long:   "List prints the tokens that have neither ended nor been used up, the oldest first: their public ids, what they permit and until\nwhen. The tokens themselves are not known any more.",
		cannot: "list the tokens",
		run: func(ctx context.Context, _ none) ([]token.Token, error) {
			dirs, err := a.dirs()
			if err != nil {
				return nil, err
			}
			return someRead(token.Open(dirs).List(ctx))
		},
		exits: []int{exitPartial},
		text: func(w io.Writer, list []token.Token) error {
			return table(w, "ID\tMETHODS\tEXPIRES\tUSES LEFT", func(row func(...any)) {
				for _, t := range list {
					left := "any"
					if t.Left != nil {
						left = fmt.Sprintf("%d of %d", *t.Left, t.Uses)
					}
					row(t.ID, strings.Join(t.Methods, " "), t.Expires.Format(time.RFC3339), left)
				}
			})
		},
	}.command(a)
}

type tokenRevokeArgs struct {
	IDs []string `arg:"[ID...]"`
	All bool     `json:"all" help:"revoke every token"`
}

func tokenRevoke(a *app) *cobra.Command {
	return verb[tokenRevokeArgs, []token.ID]{
		name:    "revoke",
		short:   "end tokens before their time",
		long:    "Revoke ends the tokens with these ids, as lnk token list prints them, or --all. When it has returned nobody can use them any\nmore; a call that was permitted before goes on.",
		example: "  lnk token revoke 0f1e2d3c4b5a6978\n  lnk token revoke --all",
		cannot:  "revoke the tokens",
		exits:   []int{exitNotFound},
		run:     a.revokeTokens,
		text: func(w io.Writer, ids []token.ID) error {
			for _, id := range ids {
				fmt.Fprintln(w, id)
			}
			return nil
		},
	}.command(a)
}

func (a *app) revokeTokens(ctx context.Context, args tokenRevokeArgs) ([]token.ID, error) {
	if args.All == (len(args.IDs) > 0) {
		return nil, ipc.Errorf(ipc.BadRequest, "name the tokens, or say --all").WithHint("lnk token list")
	}
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	store, caller := token.Open(dirs), fmt.Sprintf("process %d", os.Getpid())
	if args.All {
		ended, err := store.RevokeAll(ctx, caller)
		return append([]token.ID{}, ended...), err
	}
	ended := []token.ID{}
	for _, id := range args.IDs {
		one := store.Revoke(ctx, token.ID(id), caller)
		if one == nil {
			ended = append(ended, token.ID(id))
		}
		err = errors.Join(err, one)
	}
	return ended, err
}

func tokenLog(a *app) *cobra.Command {
	return action[none]{
		name:  "log",
		short: "print what happened to tokens",
		long: `Log prints a line each time that a token was issued, used, refused or revoked, the oldest first: when, which token, for which
method, for whom, and how many uses are left or why it was refused. No line can be used as a token. The log is only ever
appended to. Of more than twenty refusals a second of one service only the number is recorded.`,
		cannot: "read the log of tokens",
		run: func(context.Context, none) error {
			dirs, err := a.dirs()
			if err != nil {
				return err
			}
			return printEach(a, token.Open(dirs).Events(), printTokenEvent)
		},
	}.command(a)
}

func printTokenEvent(w io.Writer, e token.Event) error {
	about := slices.DeleteFunc([]string{e.Method, e.Caller, e.Detail}, func(s string) bool { return s == "" })
	_, err := fmt.Fprintln(w, e.Time.Format(time.RFC3339), e.Event, orDash(string(e.Token)), strings.Join(about, ", "))
	return err
}
