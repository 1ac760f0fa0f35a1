#!/bin/sh
# rig.sh UID PROGRAMS COMMAND...: runs COMMAND as the unprivileged UID below a systemd --user of its own.
#
# It needs root and lives in private mount, pid, uts and cgroup namespaces: the machine's own systemd is never touched.
# PROGRAMS is copied to /run/lnk/bin, as the user may not be able to read it where it is. /run, with the user's home and
# every temporary file in it, is a tmpfs that goes away with the last process. What outlives the namespaces is one folder
# per cgroup hierarchy; it is removed on every way out. Standard input tells that the caller is alive: when it closes,
# everything ends.
set -eu

# hierarchies lists the cgroup hierarchies that systemd manages: one on a unified machine, two on a hybrid one.
hierarchies() {
	if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
		echo /sys/fs/cgroup
	else
		echo /sys/fs/cgroup/systemd
		[ ! -d /sys/fs/cgroup/unified ] || echo /sys/fs/cgroup/unified
	fi
}

# remove_groups removes the rig's cgroups; the last processes may need a moment to be gone from them.
remove_groups() {
	for h in $(hierarchies); do
		for i in 1 2 3 4 5 6 7 8 9 10; do
			[ -d "$h/$1" ] || break
			find "$h/$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
		done
	done
}

# sweep removes what a rig left that was killed together with its guard.
sweep() {
	for h in $(hierarchies); do
		for group in "$h"/lnk-rig-*; do
			pid=${group##*-}
			[ ! -d "$group" ] || kill -0 "$pid" 2>/dev/null || remove_groups "lnk-rig-$pid"
		done
	done
}

outer() {
	sweep
	name=lnk-rig-$$
	rig= guard=
	trap finish EXIT
	trap 'exit 1' HUP INT TERM
	for h in $(hierarchies); do mkdir "$h/$name"; done
	exec 3<&0
	(
		for h in $(hierarchies); do echo 0 >"$h/$name/cgroup.procs"; done
		exec unshare --mount --pid --fork --kill-child --uts --cgroup --mount-proc sh "$0" --inside "$@" 3<&-
	) </dev/null &
	rig=$!
	# The guard is a process of its own: it also cleans up when this one was killed.
	(read -r _ <&3 || { kill -KILL "$rig"; remove_groups "$name"; }) 2>/dev/null &
	guard=$!
	status=0
	wait "$rig" || status=$?
	rig=
	exit "$status"
}

# finish ends what outer started, in whatever state that is.
finish() {
	[ -z "$guard" ] || kill "$guard" 2>/dev/null || true
	[ -z "$rig" ] || kill -KILL "$rig" 2>/dev/null || true
	remove_groups "$name"
}

# mount_groups shows the rig's own cgroups as the roots of their hierarchies.
mount_groups() {
	for h in $(hierarchies); do
		kind=$(stat -f -c %T "$h")
		umount "$h"
		if [ "$kind" = cgroup2fs ]; then
			mount -t cgroup2 none "$h"
		else
			mount -t cgroup -o none,name=systemd none "$h"
		fi
		chown -R "$1:$1" "$h"
	done
}

inside() {
	uid=$1 programs=$2
	shift 2
	mount_groups "$uid"
	mount -t tmpfs -o mode=755 lnk-rig /run
	mkdir -p /run/systemd/system /run/lnk
	cp -r "$programs" /run/lnk/bin
	chmod -R go=rX /run/lnk
	install -d -o "$uid" -g "$uid" -m 700 /run/user "/run/user/$uid" /run/home /run/home/tmp
	chmod 755 /run/user
	{ cat /etc/passwd && echo "rig:x:$uid:$uid::/run/home:/bin/sh"; } >/run/lnk/passwd
	mount --bind /run/lnk/passwd /etc/passwd
	cd /run/home
	manage "$uid" "$@"
}

as_user() {
	uid=$1
	shift
	env -i PATH=/run/lnk/bin:/usr/local/bin:/usr/bin:/bin HOME=/run/home USER=rig LOGNAME=rig LANG=C.UTF-8 TMPDIR=/run/home/tmp \
		XDG_RUNTIME_DIR="/run/user/$uid" LNK_RIG=1 setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
}

manage() {
	uid=$1
	shift
	systemd=/lib/systemd/systemd
	[ -x "$systemd" ] || systemd=/usr/lib/systemd/systemd
	# As user@.service does with LoadCredential= or LoadCredentialEncrypted=.
	install -d -o "$uid" -g "$uid" -m 700 /run/lnk/credentials
	echo 'passed by the manager' >/run/lnk/credentials/lnk-passphrase
	chown "$uid:$uid" /run/lnk/credentials/lnk-passphrase
	chmod 400 /run/lnk/credentials/lnk-passphrase
	as_user "$uid" env CREDENTIALS_DIRECTORY=/run/lnk/credentials PATH=/usr/local/bin:/usr/bin:/bin "$systemd" --user --log-level=notice --log-target=console >/run/lnk/manager.log 2>&1 &
	manager=$!
	i=0
	until as_user "$uid" systemctl --user is-active default.target >/dev/null 2>&1; do
		i=$((i + 1))
		if [ $i -gt 300 ] || ! kill -0 "$manager" 2>/dev/null; then
			echo "systemd --user does not come up:" >&2
			cat /run/lnk/manager.log >&2
			exit 1
		fi
		sleep 0.1
	done
	status=0
	as_user "$uid" "$@" || status=$?
	[ $status = 0 ] || sed 's/^/manager: /' /run/lnk/manager.log >&2
	as_user "$uid" systemctl --user exit
	wait "$manager" || true
	exit $status
}

if [ "$1" = --inside ]; then
	shift
	inside "$@"
else
	outer "$@"
fi
