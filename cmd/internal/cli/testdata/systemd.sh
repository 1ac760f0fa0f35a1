#!/bin/sh
# The main job with the units below a real systemd --user, as an unprivileged user: units/testdata/rig.sh runs it. The
# user manager has no SSH_AUTH_SOCK, as usual: the caller's agent is the one that signs.
set -eu
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@localhost GIT_TERMINAL_PROMPT=0

say() { echo "== $*"; }
fail() { echo "FAILED: $*" >&2; lnk service status >&2 || true; exit 1; }
# expect STATUS COMMAND… wants an exit status.
expect() {
	want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" = "$want" ] || fail "$* ended with status $got, want $want"
}
# await PATTERN waits until lnk status shows a line like it.
await() {
	tries=0
	until lnk status | grep -q "$1"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || fail "waiting for $1: $(lnk status)"
		sleep 0.05
	done
}

eval "$(ssh-agent -s -a "$HOME/agent.sock")" >/dev/null
trap 'kill "$SSH_AGENT_PID"' EXIT
ssh-keygen -q -t ed25519 -N '' -f id

say 'nothing is installed'
lnk status | grep -q '^nothing listens' || fail 'status without units'
expect 7 lnk topics

say 'install: the sockets listen, nobody runs'
peer=$(lnk profile create me --key id)
lnk service install --user --idle 1s
lnk status -o json | grep -q '"manager":"systemd"' || fail "status: $(lnk status -o json)"
await '^bus *sleeping'
await "^gitd-$peer *sleeping"

say 'a push starts both daemons, is signed by the caller'\''s agent, and becomes an event'
git init -q -b main first
cd first
git commit -q --allow-empty -m one
lnk init --name first >urn
git push -q lnk main
lnk sub 'rad.>' --replay all --until-current | grep -q '"ref":"refs/heads/main"' || fail 'no event'
lnk status | grep -q 'running' || fail 'nobody runs'
lnk clone "$(cat urn)" ../second
lnk doctor || fail 'doctor finds something wrong'

say 'idle daemons leave, and the next caller starts them'
await '^bus *sleeping'
await "^gitd-$peer *sleeping"
lnk project verify
lnk service status

say 'the socket of a new profile listens by itself'
ssh-keygen -q -t ed25519 -N '' -f ../id2
other=$(lnk profile create other --key ../id2)
await "^gitd-$other *sleeping"
lnk --profile other project list

say 'disable, enable, uninstall'
lnk service disable
expect 7 lnk topics
ssh-keygen -q -t ed25519 -N '' -f ../id3
lnk profile create third --key ../id3
expect 7 lnk --profile third project list
lnk service enable
lnk topics
lnk --profile third project list
lnk service uninstall
lnk status | grep -q '^nothing listens' || fail 'something is left'
expect 7 lnk topics
