# make run and make test are all the set-up there is; see README.md.
GO ?= go

.PHONY: build run test check bench install uninstall

build:
	$(GO) build -trimpath -o bin/ ./cmd/...

test: build
	$(GO) test -race ./...

check:
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; echo "make check: run gofmt -w on the files above" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test -run TestImportRules .
