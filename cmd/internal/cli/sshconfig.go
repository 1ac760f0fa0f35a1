package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

type sshConfigArgs struct {
	Host     string `json:"host" help:"what ssh is to call this machine's git daemon: the <NAME> in ssh://NAME/PROJECT"`
	Identity string `json:"identity" help:"the <FILE> with the public key (default: that beside the profile's key)"`
}

type sshConfig struct {
	Host   string `json:"host" cbor:"0,keyasint"`
	Config string `json:"config" cbor:"1,keyasint"`
}

func sshConfigCommand(a *app) *cobra.Command {
	return verb[sshConfigArgs, sshConfig]{
		name:  "ssh-config",
		short: "print the lines for ~/.ssh/config that make stock git and ssh work",
		long: `Ssh-config prints a block for ~/.ssh/config by which ssh reaches the git daemon of the profile in use: over its UNIX socket,
without a prompt, with the key in your ssh-agent and with a host key that lnk vouches for. Then

  git clone ssh://lnk/rad:z…

works with any git, and a push is signed and becomes events as it does with lnk://. The block names the profile's socket and
key; print it again after they have moved.`,
		example:  "  lnk ssh-config >> ~/.ssh/config\n  lnk ssh-config > lnk.conf && GIT_SSH_COMMAND='ssh -F lnk.conf' git ls-remote ssh://lnk/rad:z…",
		cannot:   "print the configuration",
		exits:    []int{exitNotFound},
		defaults: sshConfigArgs{Host: "lnk"},
		run:      a.sshConfig,
		text: func(w io.Writer, c sshConfig) error {
			_, err := io.WriteString(w, c.Config)
			return err
		},
	}.command(a)
}

// sshConfigBlock leaves nothing to ask: the host key comes from gitd itself, the key from the agent. One host key
// algorithm saves ssh a run of KnownHostsCommand, in which it would look for those that it knows.
var sshConfigBlock = template.Must(template.New("ssh_config").Parse(`# lnk: the projects of profile {{.Profile}} ({{.Peer}})
Host {{.Host}}
    ProxyCommand {{.Lnk}} proxy --fdpass {{.Socket}}
    ProxyUseFdpass yes
    User git
    HostKeyAlias {{.Alias}}
    HostKeyAlgorithms ssh-ed25519
    StrictHostKeyChecking yes
    UserKnownHostsFile /dev/null
    GlobalKnownHostsFile /dev/null
    KnownHostsCommand {{.Lnk}} known-hosts {{.Socket}}
    IdentityFile {{.Identity}}
    IdentitiesOnly yes
    SendEnv SSH_AUTH_SOCK
    Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com
`))

func (a *app) sshConfig(_ context.Context, args sshConfigArgs) (sshConfig, error) {
	dirs, p, err := a.current()
	if err != nil {
		return sshConfig{}, err
	}
	if args.Host == "" || strings.ContainsAny(args.Host, " \t\n\"'*?!,#%/:") {
		return sshConfig{}, ipc.Errorf(ipc.BadRequest, "%q cannot be the name of a host", args.Host)
	}
	if args.Identity == "" && p.Key != "" {
		args.Identity = p.Key + ".pub"
	}
	if err := checkIdentity(args.Identity, p.Peer); err != nil {
		return sshConfig{}, err
	}
	identity, err := filepath.Abs(args.Identity)
	if err != nil {
		return sshConfig{}, err
	}
	words := map[string]string{"Lnk": a.Executable, "Socket": dirs.Socket("gitd", p.Peer), "Identity": identity}
	for name, word := range words {
		if words[name], err = sshWord(word); err != nil {
			return sshConfig{}, err
		}
	}
	words["Profile"], words["Peer"], words["Host"], words["Alias"] = p.Name, string(p.Peer), args.Host, hostKeyAlias
	var block bytes.Buffer
	if err := sshConfigBlock.Execute(&block, words); err != nil {
		return sshConfig{}, err
	}
	return sshConfig{args.Host, block.String()}, nil
}

// checkIdentity demands that path holds the public key of id: with another one ssh would be refused, and not say why.
func checkIdentity(path string, id peer.ID) error {
	hint := fmt.Sprintf("write the line %q to a file and name it with --identity", id.SSHKey())
	if path == "" {
		return ipc.Errorf(ipc.NotFound, "the profile has no key file, and ssh wants one with the public key").WithHint(hint)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ipc.Errorf(ipc.NotFound, "there is no public key at %s", path).WithHint(hint)
	}
	if err != nil {
		return err
	}
	if found, err := peer.Parse(strings.TrimSpace(string(data))); err != nil || found != id {
		return ipc.Errorf(ipc.BadRequest, "%s does not hold the public key of %s", path, id).WithHint(hint)
	}
	return nil
}

// sshWord makes one word of text that means the same in every kind of line: to a shell (ProxyCommand), to ssh's own
// splitting (KnownHostsCommand, IdentityFile), and to its %-tokens.
func sshWord(text string) (string, error) {
	if strings.ContainsAny(text, "'\"\\$`\n") {
		return "", ipc.Errorf(ipc.BadRequest, "ssh's configuration cannot name %q", text)
	}
	word := strings.ReplaceAll(text, "%", "%%")
	if strings.ContainsFunc(word, func(c rune) bool { return !isPlain(c) }) {
		return `"` + word + `"`, nil
	}
	return word, nil
}

// isPlain reports whether c never needs quotes.
func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+@%:,", c) || c > 0x7f
}
