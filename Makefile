# make run and make test are all the set-up there is; see README.md.
GO ?= go
PREFIX ?= /usr/local
DESTDIR ?=
# systemd looks below lib for all users, and below ~/.local/share for one.
UNITDIR ?= $(PREFIX)/$(if $(filter $(HOME)/%,$(PREFIX)),share,lib)/systemd

# The race detector needs a C compiler, which a machine may lack.
RACE := $(if $(shell command -v "$$($(GO) env CC)" 2>/dev/null),-race)

NPM := .ci/npm/node_modules/installed

PROGRAMS := $(notdir $(wildcard cmd/lnk cmd/lnk-* cmd/git-remote-lnk))
COMPLETIONS := bash:share/bash-completion/completions/lnk zsh:share/zsh/site-functions/_lnk fish:share/fish/vendor_completions.d/lnk.fish

.PHONY: build run test check bench install uninstall

# Without cgo the programs are static and start faster.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

# The main job on a real repository, in a scratch folder; see docs/tour.sh.
run: build
	@sh docs/tour.sh

test: build $(NPM)
	$(GO) test $(RACE) ./...

# What the tests take from npm, installed anew when the lock file is newer.
$(NPM): .ci/npm/package-lock.json .ci/npm/.npmrc
	@command -v node >/dev/null && command -v npm >/dev/null || { \
		echo "make test: there is no node or no npm; the tests check lnk with implementations from npm" >&2; \
		echo "make test: hint: install Node.js 18 or newer with npm (on Debian: apt-get install nodejs npm)" >&2; exit 1; }
	cd .ci/npm && npm ci
	@touch $@

check:
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; echo "make check: run gofmt -w on the files above" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test -run TestImportRules .

# Ratios against a peer or the floor, as medians of interleaved rounds: docs/benchmarks.md has the last ones. The main job's
# benchmarks count their rounds themselves.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m .
	$(GO) test -run '^$$' -bench . -timeout 30m ./ipc ./services/keys ./services/project ./services/supervisor ./services/trust/client ./services/trust/trustd
	cd ipc/bench && $(GO) run .

# Units, manual pages and completions are made by the program that is installed.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(dir $(foreach c,$(COMPLETIONS),$(DESTDIR)$(PREFIX)/$(lastword $(subst :, ,$(c)))))
	install -m 755 $(addprefix bin/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	bin/lnk generate man $(DESTDIR)$(PREFIX)/share/man/man1
	@set -e; for c in $(COMPLETIONS); do bin/lnk completion $${c%%:*} > $(DESTDIR)$(PREFIX)/$${c#*:}; done
ifeq ($(shell uname -s),Linux)
	bin/lnk service print --programs $(PREFIX)/bin --dir $(DESTDIR)$(UNITDIR)
endif
	@echo 'Now each user: lnk profile create NAME; lnk service enable (macOS: lnk service print --launchd)'

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(PROGRAMS))
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/lnk.1 $(DESTDIR)$(PREFIX)/share/man/man1/lnk-*.1
	rm -f $(foreach c,$(COMPLETIONS),$(DESTDIR)$(PREFIX)/$(lastword $(subst :, ,$(c))))
	rm -f $(foreach kind,socket service timer,$(DESTDIR)$(UNITDIR)/user/lnk-*.$(kind))
	rm -f $(DESTDIR)$(UNITDIR)/user-preset/90-lnk.preset
