#!/bin/sh
# The five-minute tour, as a program: `make run` calls it. It shows the main job on a real repository with stock git,
# ssh-agent and the daemons of bin/, in a scratch folder that it removes at the end, and says each step in one line.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$top/bin:$PATH"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/lnk.XXXXXX")
export LNK_HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run" HOME="$scratch/user"
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=tour GIT_AUTHOR_EMAIL=tour@localhost GIT_COMMITTER_NAME=tour GIT_COMMITTER_EMAIL=tour@localhost
unset GIT_DIR GIT_WORK_TREE LNK_PROFILE SSH_AUTH_SOCK SSH_AGENT_PID
mkdir -p -m 700 "$LNK_HOME" "$XDG_RUNTIME_DIR" "$HOME"

up='' agent=''
cleanup() {
	status=$?
	trap - EXIT
	[ -z "$up" ] || { kill "$up" && wait "$up"; } 2>/dev/null || true
	if [ -n "$agent" ]; then # not a child, so there is nothing to wait for but its end
		kill "$agent" 2>/dev/null || true
		while kill -0 "$agent" 2>/dev/null; do sleep 0.05; done
	fi
	rm -rf "$scratch"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n%s\n' "$*"; }

# run shows a command and what it prints, and ends the tour where it fails: a pipeline would hide the exit status.
run() {
	printf '  $ %s\n' "$*"
	"$@" >"$scratch/out" 2>&1 && status=0 || status=$?
	sed 's/^/    /' "$scratch/out"
	[ $status -eq 0 ] || exit $status
}

# await repeats a command until it succeeds, for a minute at most.
await() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { echo "gave up waiting for: $*" >&2; cat "$scratch"/up.* >&2; exit 1; }
		sleep 0.1
	done
}

asleep() { ! lnk status -o json | grep -q '"running"'; }

step '1. An ssh-agent of the tour'\''s own. It will hold the only key.'
eval "$(ssh-agent -s -a "$scratch/agent.sock")" >/dev/null
agent=$SSH_AGENT_PID

step '2. The sockets come up. No daemon runs yet: each starts when somebody dials its socket.'
printf '  $ lnk up --idle 3s &\n'
lnk up --idle 3s >"$scratch/up.out" 2>"$scratch/up.err" &
up=$!
await grep -q '^ready$' "$scratch/up.out"

step '3. A profile: an Ed25519 key in an encrypted OpenSSH file, loaded into the agent for eight hours.'
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$scratch/passphrase"
run lnk profile create tour --passphrase-file "$scratch/passphrase"
run ssh-add -l
await sh -c 'lnk status -o json | grep -q gitd'
run lnk status

step '4. A real repository becomes a project. Its identity document is signed through the agent.'
if [ "$(git -C "$top" rev-parse --is-shallow-repository 2>/dev/null)" = false ]; then
	git clone --quiet "$top" "$scratch/work"
else # a tarball or a shallow clone of the suite: its files are a repository too
	mkdir "$scratch/work" && tar -C "$top" --exclude ./bin --exclude ./.git -cf - . | tar -C "$scratch/work" -xf -
	git -C "$scratch/work" init --quiet && git -C "$scratch/work" add . && git -C "$scratch/work" commit --quiet -m 'The suite'
fi
cd "$scratch/work"
git checkout --quiet -B main
run lnk init --name lnk --description 'the suite itself'
urn=$(git remote get-url lnk | sed 's|^lnk://||')

step '5. Stock git pushes to a daemon that did not run a moment ago; its refs are signed with one signature.'
git tag -f tour >/dev/null
run git push lnk main tour

step '6. One event per updated ref is on the bus, which was not running either.'
run lnk sub 'rad.>' --durable tour --replay all --count 2 --timeout 60s -o json
run lnk status

step '7. A second clone fetches the push back, and every signature is verified.'
run lnk clone "$urn" "$scratch/second"
run lnk project verify "$urn"
[ "$(git -C "$scratch/second" rev-parse HEAD)" = "$(git rev-parse HEAD)" ] || { echo 'the clone differs' >&2; exit 1; }

step '8. Whoever subscribes under a name misses nothing: this one was away, and goes on where it was.'
git commit --quiet --allow-empty -m 'One more commit'
run git push lnk main :tour
run lnk sub 'rad.>' --durable tour --count 2 --timeout 60s -o json

step '9. Nobody needs the daemons any more, so they leave. Their sockets stay, and the next push starts them again.'
await asleep
run lnk status

step 'That was all. The scratch folder, the agent and the sockets are removed now.'
