package transport_test

import (
	"io"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/git/transport"
)

const (
	project  = "z2XrHeyfVzMBQTuLhaCs4R5A8ppXP"
	somePeer = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
)

func TestParseURL(t *testing.T) {
	own, other := transport.Target{Project: project}, transport.Target{Project: project, Peer: somePeer}
	for url, want := range map[string]transport.Target{
		"lnk://rad:" + project:                    own,
		"lnk://" + project:                        own,
		"lnk://rad:" + project + "/":              own,
		"lnk://" + project + ".git":               own,
		"lnk://rad:" + project + "/" + somePeer:   other,
		"lnk://" + project + "/" + somePeer + "/": other,
	} {
		if got, err := transport.ParseURL(url); err != nil || got != want {
			t.Errorf("ParseURL(%q) = %v, %v", url, got, err)
		}
	}
	for _, url := range []string{
		"", "lnk://", "lnk://rad:", "http://" + project, "lnk://../../etc", "lnk://" + project + "/..", "lnk://z0OIl",
		"lnk://" + project + "/" + somePeer + "/x", "lnk://z" + strings.Repeat("2", 99), "lnk://" + project + "\x00host=x",
	} {
		if got, err := transport.ParseURL(url); err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", url, got)
		}
	}
}

func TestRequestLineRoundTrip(t *testing.T) {
	for _, want := range []transport.Request{
		{Service: transport.UploadPack, Target: transport.Target{Project: project}, Version: "2"},
		{Service: transport.ReceivePack, Target: transport.Target{Project: project}, Agent: "/run/agent socket"},
		{Service: transport.UploadPack, Target: transport.Target{Project: project, Peer: somePeer}},
	} {
		r := io.MultiReader(strings.NewReader(string(want.Line())), strings.NewReader("PACK"))
		got, err := transport.ReadRequest(r)
		if err != nil || got != want {
			t.Errorf("ReadRequest = %+v, %v, want %+v", got, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "PACK" {
			t.Errorf("left for git: %q, want PACK", rest)
		}
	}
}

// The bytes are a contract with other implementations, and with git-daemon's own clients.
func TestRequestLineBytes(t *testing.T) {
	request := transport.Request{Service: transport.UploadPack, Target: transport.Target{Project: "z21"}, Version: "2"}
	want := "002egit-upload-pack /rad:z21\x00host=\x00\x00version=2\x00"
	if got := string(request.Line()); got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for _, line := range []string{
		"", "git-upload-pack", "git-upload-archive /" + project, "git-upload-pack " + project,
		"git-upload-pack /" + project + "/../x", "git-upload-pack /" + project + "\x00host=\x00\x00version=3\x00",
		"git-receive-pack /" + project + "\x00host=\x00\x00agent=relative\x00",
		"git-receive-pack /" + project + "\x00host=\x00\x00agent=/a/../b\x00",
	} {
		if got, err := transport.ParseRequest(line); err == nil {
			t.Errorf("ParseRequest(%q) = %+v, want an error", line, got)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("git-upload-pack /rad:" + project + "\x00host=\x00\x00version=2\x00")
	f.Add("git-receive-pack /" + project + "/" + somePeer + "\x00\x00agent=/a\x00")
	f.Fuzz(func(t *testing.T, line string) {
		request, err := transport.ParseRequest(line)
		if err != nil || len(line) > transport.MaxRequest {
			return
		}
		again, err := transport.ReadRequest(strings.NewReader(string(request.Line())))
		if err != nil || again != request {
			t.Errorf("%+v became %+v, %v", request, again, err)
		}
	})
}
