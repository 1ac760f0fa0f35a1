package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
	"github.com/lnk-suite/lnk/services/trust/client"
)

type trustVerifyArgs struct {
	repositoryArgs
	Root      string   `json:"root" help:"begin with the root document in <FILE>, which you trust"`
	URL       string   `json:"url" help:"the repository whose metadata/ and targets/ are below <URL>"`
	Folder    string   `json:"folder" help:"the repository whose metadata/ and targets/ are in <FOLDER>"`
	Artifacts []string `arg:"[ARTIFACT...]"`
}

// trustVerified is what a client finds in a repository.
type trustVerified struct {
	First     string         `json:"first_root" cbor:"0,keyasint"` // the file; empty if it is the repository's own word
	Roles     []verifiedRole `json:"roles" cbor:"1,keyasint"`
	Artifacts int            `json:"artifacts" cbor:"2,keyasint"` // that were fetched and are right
	Faults    []string       `json:"faults" cbor:"3,keyasint"`
}

type verifiedRole struct {
	Role      string    `json:"role" cbor:"0,keyasint"`
	Version   int64     `json:"version" cbor:"1,keyasint"`
	Expires   time.Time `json:"expires" cbor:"2,keyasint"`
	Threshold int       `json:"threshold" cbor:"3,keyasint"`
	Keys      int       `json:"keys" cbor:"4,keyasint"`
	Signers   []string  `json:"signers" cbor:"5,keyasint"`
}

func trustVerify(a *app) *cobra.Command {
	return verb[trustVerifyArgs, trustVerified]{
		name: "verify", short: "check a repository as a client would",
		long: `Verify follows a repository as a client that begins with the root document --root would: it reads the metadata of every role,
counts signatures, looks at dates and versions, and fetches and checks each ARTIFACT, all if none is named. It tells what it found and
keeps nothing. Without --url or --folder it asks the daemon. It ends with status 1 if anything is wrong.

Without --root it begins with the first root document that the repository has itself. That shows whether the repository is sound, but
not whose it is.`,
		cannot: "check the repository", exits: []int{exitNotFound, exitUnavailable}, defaults: trustVerifyArgs{repositoryArgs: usualRepository},
		run: a.trustVerified, text: printVerifiedRepository,
	}.command(a)
}

func (a *app) trustVerified(ctx context.Context, args trustVerifyArgs) (trustVerified, error) {
	metadata, targets, err := a.repositorySources(args)
	if err != nil {
		return trustVerified{}, err
	}
	defer metadata.Close()
	defer targets.Close()
	first, err := firstRoot(ctx, args, metadata)
	if err != nil {
		return trustVerified{}, err
	}
	store := client.Memory{}
	if err := client.Init(store, first); err != nil {
		return trustVerified{}, err
	}
	c, err := client.New(store, metadata, time.Now())
	if err != nil {
		return trustVerified{}, err
	}
	report, err := c.Survey(ctx, targets, args.Artifacts)
	if err != nil {
		return trustVerified{}, err
	}
	result := verifiedOf(args.Root, report)
	if len(result.Faults) > 0 {
		err = &exitError{status: exitFailure, message: "a client would not be content with the repository: found " + count(len(result.Faults), "fault"), withResult: true}
	}
	return result, err
}

// repositorySources returns where the metadata and the targets are.
func (a *app) repositorySources(args trustVerifyArgs) (metadata, targets client.Source, err error) {
	switch {
	case args.URL != "" && args.Folder != "":
		return nil, nil, &usageError{"--url and --folder exclude each other", "lnk help trust verify"}
	case args.Folder != "":
		return client.Tree(filepath.Join(args.Folder, "metadata")), client.Tree(filepath.Join(args.Folder, "targets")), nil
	case args.URL != "":
		return webSources(strings.TrimRight(args.URL, "/"), client.NewWeb)
	}
	socket, err := a.socketPath("trust")
	if err != nil {
		return nil, nil, err
	}
	return webSources("http://trustd/repositories/"+args.Repository, func(base string) (*client.Web, error) { return client.NewSocketWeb(socket, base) })
}

func webSources(base string, open func(string) (*client.Web, error)) (metadata, targets client.Source, err error) {
	if metadata, err = open(base + "/metadata"); err != nil {
		return nil, nil, err
	}
	targets, err = open(base + "/targets")
	return metadata, targets, err
}

func firstRoot(ctx context.Context, args trustVerifyArgs, metadata client.Source) ([]byte, error) {
	if args.Root != "" {
		return os.ReadFile(args.Root)
	}
	data, err := client.First(ctx, metadata)
	if ipc.CodeOf(err) != ipc.NotFound {
		return data, err
	}
	absent := ipc.Errorf(ipc.NotFound, "the repository has no first root document: %w", err)
	if args.URL == "" && args.Folder == "" {
		absent = absent.WithHint("it was not begun, or its first root waits for signatures: " + trust.CommandLine(args.Repository, "status", ""))
	}
	return nil, absent
}

func verifiedOf(root string, r client.Report) trustVerified {
	v := trustVerified{First: root, Roles: []verifiedRole{}, Artifacts: r.Targets, Faults: []string{}}
	for _, role := range r.Roles {
		one := verifiedRole{Role: role.Role, Version: role.Version, Expires: role.Expires, Threshold: role.Threshold, Keys: len(role.Signers) + role.Unsigned, Signers: []string{}}
		for _, s := range role.Signers {
			one.Signers = append(one.Signers, signerName(s))
		}
		v.Roles = append(v.Roles, one)
	}
	for _, err := range r.Faults {
		v.Faults = append(v.Faults, err.Error())
	}
	return v
}

// signerName is how people know a key: as a peer, with the name of its holder, else by its id.
func signerName(s client.Signer) string {
	text := string(s.Peer)
	if text == "" {
		text = "key " + s.KeyID
	}
	if s.Name != "" {
		text += fmt.Sprintf(" (%q)", s.Name)
	}
	return text
}

func printVerifiedRepository(w io.Writer, v trustVerified) error {
	if v.First == "" {
		fmt.Fprintln(w, "begins with the repository's own first root document: --root FILE would show whose it is")
	}
	err := table(w, "ROLE\tVERSION\tEXPIRES\tSIGNED\tBY", func(row func(...any)) {
		for _, r := range v.Roles {
			row(r.Role, r.Version, r.Expires.Format(time.RFC3339), fmt.Sprintf("%d of %d, takes %d", len(r.Signers), r.Keys, r.Threshold), strings.Join(r.Signers, ", "))
		}
	})
	for _, f := range v.Faults {
		fmt.Fprintf(w, "FAULT: %s\n", f)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "verified %s and %s\n", count(len(v.Roles), "role"), count(v.Artifacts, "artifact"))
	}
	return err
}
