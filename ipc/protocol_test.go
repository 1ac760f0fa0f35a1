package ipc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc/cddl"
)

const protocolPage = "../docs/protocol.md"

type greetArgs struct {
	Name string `cbor:"0,keyasint" json:"name" help:"whom to greet"`
}

type greeting struct {
	Text string `cbor:"0,keyasint" json:"text" help:"what to say"`
}

type countArgs struct {
	To uint `cbor:"0,keyasint" json:"to" help:"where to stop"`
}

// demoMux is the service of the page's examples.
func demoMux() *Mux {
	x := NewMux("demo", "1.0")
	greet := Unary[greetArgs, greeting]{Name: "demo.greet", Access: Read, Short: "a greeting"}
	greet.Handle(x, func(_ context.Context, a greetArgs) (greeting, error) {
		if a.Name == "nobody" {
			return greeting{}, Errorf(NotFound, "nobody is here").WithHint("greet somebody")
		}
		return greeting{"hello, " + a.Name}, nil
	})
	count := Stream[countArgs, uint]{Name: "demo.count", Access: Read, Short: "the numbers from 1"}
	count.Handle(x, func(_ context.Context, a countArgs) iter.Seq2[uint, error] {
		return func(yield func(uint, error) bool) {
			for i := uint(1); i <= a.To && yield(i, nil); i++ {
			}
		}
	})
	wait := Unary[Empty, Empty]{Name: "demo.wait", Access: Read, Short: "wait until cancelled"}
	wait.Handle(x, func(ctx context.Context, _ Empty) (Empty, error) {
		<-ctx.Done()
		return Empty{}, ctx.Err()
	})
	return x
}

// blocks returns the page's code blocks in the given language.
func blocks(t *testing.T, language string) []string {
	page, err := os.ReadFile(protocolPage)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, part := range strings.Split(string(page), "\n```"+language+"\n")[1:] {
		block, _, ok := strings.Cut(part, "```\n")
		if !ok {
			t.Fatalf("a block of %s does not end", language)
		}
		found = append(found, block)
	}
	return found
}

func TestPageHasTheCDDL(t *testing.T) {
	found := blocks(t, "cddl")
	if len(found) != 2 || found[0] != cddl.Wire || !strings.Contains(demoMux().describe().CDDL, found[1]) {
		t.Errorf("the page's CDDL is not what ipc.describe returns:\n%s", demoMux().describe().CDDL)
	}
}

func TestPageHasTheCodes(t *testing.T) {
	page, err := os.ReadFile(protocolPage)
	if err != nil {
		t.Fatal(err)
	}
	for code := Internal; int(code) < len(codeNames); code++ {
		if row := fmt.Sprintf("\n| %d | %s | ", code, code); !bytes.Contains(page, []byte(row)) {
			t.Errorf("no row %q", row)
		}
	}
}

// TestPageExamples plays the dialogues of the page against a real server. A line begins with ">" for what the client sends, "<"
// for what the server must answer, byte for byte, "!" for what happens to the server, and else shows the frame above it.
func TestPageExamples(t *testing.T) {
	found := blocks(t, "wire")
	if len(found) < 6 {
		t.Fatalf("only %d dialogues", len(found))
	}
	for _, block := range found {
		bubble(t, &Server{Mux: demoMux()}, func(t *testing.T, r *rig) {
			newDialogue(t, r).play(block)
		})
	}
}

type dialogue struct {
	t            *testing.T
	conn, server net.Conn
	drain, ended chan struct{}
	answers      chan []byte
	frame        []byte // the last one
}

func newDialogue(t *testing.T, r *rig) *dialogue {
	d := &dialogue{t: t, drain: make(chan struct{}), ended: make(chan struct{}), answers: make(chan []byte, 100)}
	d.conn, d.server = net.Pipe()
	r.served.Go(func() { r.server.ServeConn(r.ctx, &drainedConn{d.server, d.ended}, d.drain) })
	go func() {
		defer close(d.answers)
		for {
			frame, err := readFrame(d.conn)
			if err != nil {
				return
			}
			d.answers <- frame
		}
	}()
	return d
}

func (d *dialogue) play(block string) {
	defer d.conn.Close()
	for lines := bufio.NewScanner(strings.NewReader(block)); lines.Scan(); {
		kind, text, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch kind {
		case ">":
			frame := unhex(d.t, text)
			if _, err := d.conn.Write(frame); err != nil {
				d.t.Fatal(err)
			}
			d.frame = frame[frameHead:]
		case "<":
			d.expect(unhex(d.t, text))
		case "!":
			d.happens(text)
		default:
			if want := strings.TrimSpace(lines.Text()); d.shown() != want {
				d.t.Errorf("%x is shown as\n%s, not\n%s", d.frame, d.shown(), want)
			}
		}
	}
}

func (d *dialogue) expect(frame []byte) {
	got, ok := <-d.answers
	if want := frame[frameHead:]; !ok || !bytes.Equal(got, want) {
		d.t.Errorf("answer\n%s, want\n%s", hex.EncodeToString(got), hex.EncodeToString(want))
	}
	d.frame = got
}

func (d *dialogue) happens(what string) {
	switch what {
	case "the daemon is told to leave":
		close(d.drain)
	case "the daemon sees the end of its input":
		close(d.ended)
		_ = d.server.SetReadDeadline(time.Now())
	case "the connection ends":
		if _, open := <-d.answers; open {
			d.t.Error("the connection does not end")
		}
	default:
		d.t.Fatalf("%q cannot happen", what)
	}
}

// shown is the line below a frame.
func (d *dialogue) shown() string {
	text, err := DiagnosticFrame(d.frame)
	if err != nil {
		return "not CBOR"
	}
	return text
}

// TestPageEnvelopes checks the bare envelopes of the page.
func TestPageEnvelopes(t *testing.T) {
	for _, block := range blocks(t, "envelopes") {
		for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
			name, text, _ := strings.Cut(line, ": ")
			frame := unhex(t, text)
			var q request
			var a response
			errQ, errA := q.parse(frame[frameHead:]), a.parse(frame[frameHead:])
			again := map[bool][]byte{true: q.appendTo(nil), false: a.appendTo(nil)}[errQ == nil]
			if errQ != nil && errA != nil || !bytes.Equal(again, frame) {
				t.Errorf("%s: %v; encodes to %x", name, errors.Join(errQ, errA), again)
			}
		}
	}
}
