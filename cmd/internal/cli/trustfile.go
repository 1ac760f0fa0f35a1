package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

type trustAddArgs struct {
	repositoryArgs
	File  string `arg:"FILE"`
	Path  string `arg:"[ARTIFACT]"`
	Stage bool   `json:"stage" help:"wait for lnk trust publish"`
}

func trustAdd(a *app) *cobra.Command {
	return verb[trustAddArgs, trust.Result]{
		name: "add", short: "add a file for clients to download",
		long:   "Add takes a copy of FILE and publishes it as ARTIFACT, its own name if not given. One that is there already is replaced.",
		cannot: "add the artifact", exits: trustExits, defaults: trustAddArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustAddArgs) (trust.Result, error) {
			file, err := filepath.Abs(args.File)
			if err != nil {
				return trust.Result{}, err
			}
			if args.Path == "" {
				args.Path = filepath.Base(file)
			}
			result, err := askTrust(ctx, a, trust.Add, trust.AddArgs{
				Repository: args.Repository, Artifacts: []trust.Artifact{{Path: args.Path, File: file}}, Stage: args.Stage, Agent: a.agentPath(),
			})
			if err == nil && len(result.Refused) > 0 {
				err = ipc.Errorf(ipc.BadRequest, "%s is no path that this repository has a role for", args.Path).
					WithHint(trust.CommandLine(args.Repository, "status", "") + " shows who speaks for which; another one is made with " + trust.CommandLine(args.Repository, "delegate", ""))
			}
			return result, err
		},
		text: printTrustResult,
	}.command(a)
}

type artifactsResult struct {
	Artifacts []trust.Artifact `json:"artifacts" cbor:"0,keyasint"`
}

func trustArtifacts(a *app) *cobra.Command {
	return verb[repositoryArgs, artifactsResult]{
		name: "artifacts", short: "list the artifacts of a repository",
		long:   "Artifacts lists what clients can download: the path of each artifact, its length in bytes and its hashes. What is only staged, or waits\nfor signatures, is not among them.",
		cannot: "list the artifacts", exits: trustExits, defaults: usualRepository,
		run: func(ctx context.Context, args repositoryArgs) (artifactsResult, error) {
			return listArtifacts(ctx, a, args.Repository)
		},
		text: func(w io.Writer, r artifactsResult) error {
			return table(w, "ARTIFACT\tCONTENT", func(row func(...any)) {
				for _, one := range r.Artifacts {
					row(one.Path, trust.Target{Length: one.Length, Hashes: one.Hashes, Custom: one.Custom})
				}
			})
		},
	}.command(a)
}

func listArtifacts(ctx context.Context, a *app, repository string) (result artifactsResult, err error) {
	client, err := a.dial("trust")
	if err != nil {
		return result, err
	}
	defer client.Close()
	ctx, cancel, err := allowTime(ctx, client)
	defer cancel()
	if err != nil {
		return result, err
	}
	result.Artifacts = []trust.Artifact{}
	for one, err := range trust.Artifacts.Call(ctx, client, trust.RepositoryArgs{Repository: repository}) {
		if err != nil {
			return result, err
		}
		result.Artifacts = append(result.Artifacts, one)
	}
	return result, nil
}

type trustRemoveArgs struct {
	repositoryArgs
	Paths []string `arg:"ARTIFACT..."`
	Stage bool     `json:"stage" help:"wait for lnk trust publish"`
}

func trustRemove(a *app) *cobra.Command {
	return verb[trustRemoveArgs, trust.Result]{
		name: "rm", short: "remove artifacts",
		long:   "Rm takes artifacts out of the metadata, so that clients trust them no longer. Their files stay. If only some are there, those are\nremoved and the exit status is 3.",
		cannot: "remove the artifacts", exits: append(slices.Clone(trustExits), exitPartial), defaults: trustRemoveArgs{repositoryArgs: usualRepository},
		run: func(ctx context.Context, args trustRemoveArgs) (trust.Result, error) {
			result, err := askTrust(ctx, a, trust.Remove, trust.RemoveArgs{Repository: args.Repository, Paths: args.Paths, Stage: args.Stage, Agent: a.agentPath()})
			if err == nil && len(result.Refused) > 0 {
				err = partly(result, ipc.Errorf(ipc.NotFound, "there is no artifact %s", strings.Join(result.Refused, ", ")))
			}
			return result, err
		},
		text: printTrustResult,
	}.command(a)
}

func trustPublish(a *app) *cobra.Command {
	return verb[repositoryArgs, trust.Result]{
		name: "publish", short: "publish what is staged",
		long:   "Publish publishes artifacts that were only staged, and what is signed by enough people but could not be published then.",
		cannot: "publish", exits: trustExits, defaults: usualRepository,
		run: func(ctx context.Context, args repositoryArgs) (trust.Result, error) {
			return askTrust(ctx, a, trust.Publish, trust.RepositoryArgs{Repository: args.Repository, Agent: a.agentPath()})
		},
		text: func(w io.Writer, r trust.Result) error {
			if r.Complete && len(r.Done) == 0 {
				_, err := fmt.Fprintln(w, "there is nothing to publish")
				return err
			}
			return printTrustResult(w, r)
		},
	}.command(a)
}
