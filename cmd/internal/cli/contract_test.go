package cli

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/cddl/cddltest"
	"github.com/lnk-suite/lnk/pubsub"
)

// contracts holds what the taps have recorded against the CDDL of the sockets, and the events of the bus against the CDDL of
// their schemas: every message must be admitted, every spoiled copy refused, and no method and no schema be left out.
func scriptContracts(ts *testscript.TestScript, neg bool, args []string) {
	t := ts.Value(tapKey{}).(*tap)
	names := map[string]bool{}
	for _, l := range t.listeners {
		names[strings.TrimSuffix(filepath.Base(l.Addr().String()), ".sock")] = true
	}
	delete(names, "bus") // speaks the NATS client protocol
	leaveStream(ts)
	kinds := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		description := askAll(ts, name)
		messages := t.messages(ts, name)
		checkContract(ts, description, messages)
		for _, m := range messages {
			kinds[m.kind] = true
		}
	}
	for _, kind := range []string{"request", "grant", "cancel", "ok", "result", "error"} {
		if !kinds[kind] {
			ts.Fatalf("no %s was recorded", kind)
		}
	}
	checkEvents(ts)
}

// askAll calls, through its tap, what every socket answers.
func askAll(ts *testscript.TestScript, name string) ipc.Description {
	client := ipc.NewClient(filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "radicle", name+".sock"), "test")
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	description, err := ipc.Describe.Call(ctx, client, ipc.Empty{})
	ts.Check(err)
	_, err = ipc.Ping.Call(ctx, client, ipc.Empty{})
	ts.Check(err)
	_, err = ipc.Health.Call(ctx, client, ipc.Empty{})
	ts.Check(err)
	return description
}

// A message is a part of a frame, and the rule that must admit it.
type message struct {
	cddltest.Item
	method string
	kind   string // request, grant, cancel, ok, result (or item of a stream) or error
}

// messages sorts out the frames of a socket: envelopes, and what the answers carry.
func (t *tap) messages(ts *testscript.TestScript, socket string) (all []message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.wires {
		if w.socket != socket {
			continue
		}
		methods := map[string]string{"00000000": "the connection"} // by request id
		for _, frame := range w.sent.frames() {
			all = append(all, sentMessage(ts, frame, methods))
		}
		for _, frame := range w.received.frames() {
			all = append(all, receivedMessages(ts, frame, methods)...)
		}
	}
	return all
}

type anyMap = map[any]any

func decoded(ts *testscript.TestScript, data []byte) anyMap {
	var m anyMap
	ts.Check(ipc.Unmarshal(data, &m))
	return m
}

func sentMessage(ts *testscript.TestScript, frame []byte, methods map[string]string) message {
	envelope := decoded(ts, frame)
	id := fmt.Sprintf("%x", envelope[uint64(0)].(anyMap)[uint64(1)])
	m := message{cddltest.Item{Rule: "request", CBOR: frame}, methods[id], "cancel"}
	if payload, ok := envelope[uint64(1)].([]byte); ok {
		method, isCall := decoded(ts, payload)[uint64(0)].(string)
		m.kind = "grant"
		if isCall {
			methods[id] = method
			m.method, m.kind = method, "request"
		}
	}
	return m
}

func receivedMessages(ts *testscript.TestScript, frame []byte, methods map[string]string) []message {
	envelope := decoded(ts, frame)
	method := methods[fmt.Sprintf("%x", envelope[uint64(0)].(anyMap)[uint64(0)])]
	switch payload := envelope[uint64(1)].(type) {
	case uint64:
		return []message{{cddltest.Item{Rule: "error", CBOR: frame}, method, "error"}}
	case []byte:
		return []message{
			{cddltest.Item{Rule: "ok", CBOR: frame}, method, "ok"},
			{cddltest.Item{Rule: method, CBOR: payload}, method, "result"}, // the rule's suffix follows from the description
		}
	}
	return []message{{cddltest.Item{Rule: "ok", CBOR: frame}, method, "ok"}}
}

func checkContract(ts *testscript.TestScript, d ipc.Description, all []message) {
	suffix := map[string]string{}
	for _, m := range d.Methods {
		suffix[m.Name] = map[bool]string{false: ".result", true: ".item"}[m.Stream]
	}
	seen := map[string]bool{}
	var good, bad []cddltest.Item
	for _, m := range all {
		seen[m.method+" "+m.kind] = true
		if m.kind == "result" {
			m.Rule += suffix[m.method]
		}
		if m.kind == "request" && suffix[m.method] == "" { // a method that is not there
			bad = append(bad, m.Item)
		} else {
			good = append(good, m.Item)
		}
	}
	for _, m := range d.Methods {
		if !seen[m.Name+" request"] || !seen[m.Name+" ok"] {
			ts.Fatalf("%s: %s was never called and answered: testdata/script/contract.txtar needs a line that does, for instance\n"+
				"exec lnk ipc call %s %s ARGS", d.Service, m.Name, d.Service, m.Name)
		}
	}
	judge(ts, d.Service, d.CDDL, good, bad)
}

// judge has the items admitted, and the bad ones and spoiled copies of the good ones refused.
func judge(ts *testscript.TestScript, what, cddl string, items, bad []cddltest.Item) {
	known := map[string]bool{}
	for _, item := range items {
		if sample := fmt.Sprintf("%s %d", item.Rule, len(item.CBOR)); !known[sample] { // equal length: most likely of equal shape
			known[sample] = true
			bad = append(bad, spoiled(ts, item)...)
		}
	}
	for i, reason := range cddltest.Verdicts(scriptTB{ts: ts}, cddl, append(slices.Clone(items), bad...)) {
		switch {
		case i < len(items) && reason != "":
			ts.Fatalf("%s: %s is not what its CDDL says: %s\n%s", what, items[i].Rule, reason, shown(items[i].CBOR))
		case i >= len(items) && reason == "":
			b := bad[i-len(items)]
			ts.Fatalf("%s: the CDDL of %s admits\n%s", what, b.Rule, shown(b.CBOR))
		}
	}
	ts.Logf("%s: %d messages are as its CDDL says; %d spoiled copies are not", what, len(items), len(bad))
}

func shown(data []byte) string {
	text, err := ipc.DiagnosticFrame(data)
	if err != nil {
		return fmt.Sprintf("%x", data)
	}
	return text
}

// spoiled returns copies of a message with a mistake each.
func spoiled(ts *testscript.TestScript, item cddltest.Item) (all []cddltest.Item) {
	var value any
	ts.Check(ipc.Unmarshal(item.CBOR, &value))
	wrong := mistakes(value)
	if envelope, ok := value.(anyMap); ok && item.Rule == "request" && envelope[uint64(1)] != nil { // the CDDL tells what is in it
		for _, call := range mistakes(decoded(ts, envelope[uint64(1)].([]byte))) {
			other := maps.Clone(envelope)
			other[uint64(1)], _ = ipc.Marshal(call)
			wrong = append(wrong, other)
		}
	}
	for _, v := range wrong {
		data, err := ipc.Marshal(v)
		ts.Check(err)
		all = append(all, cddltest.Item{Rule: item.Rule, CBOR: data})
	}
	return all
}

// mistakes returns copies of v in which one part is a float, which lnk uses nowhere, or a map has one more key.
func mistakes(v any) []any {
	all := []any{0.5}
	switch v := v.(type) {
	case anyMap:
		more := maps.Clone(v)
		more[uint64(15)] = nil
		all = append(all, more)
		for key, value := range v {
			for _, wrong := range mistakes(value) {
				other := maps.Clone(v)
				other[key] = wrong
				all = append(all, other)
			}
		}
	case []any:
		for i, value := range v {
			for _, wrong := range mistakes(value) {
				other := slices.Clone(v)
				other[i] = wrong
				all = append(all, other)
			}
		}
	}
	return all
}

// checkEvents holds all stored events against the CDDL of their schemas.
func checkEvents(ts *testscript.TestScript) {
	bus := pubsub.NewClient(filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "radicle/bus.sock"), "test")
	defer bus.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	events := map[string][]cddltest.Item{}
	for event, err := range bus.Subscribe(ctx, "rad.>", pubsub.Start{All: true, UntilCurrent: true}) {
		ts.Check(err)
		events[event.Schema] = append(events[event.Schema], cddltest.Item{CBOR: event.Data})
	}
	for _, schema := range schemas() {
		items := events[schema.Name]
		if len(items) == 0 {
			ts.Fatalf("no event of schema %s was published: testdata/script/contract.txtar needs a line that makes one happen", schema.Name)
		}
		root, _, _ := strings.Cut(schema.CDDL, " = ")
		for i := range items {
			items[i].Rule = root
		}
		judge(ts, schema.Name, schema.CDDL, items, nil)
	}
}

// counter serves a stream on counter.sock until the script ends: one that is long enough for credit and a cancel.
func scriptCounter(ts *testscript.TestScript, neg bool, args []string) {
	stop, err := serve(counterMux(), filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "radicle/counter.sock"))
	ts.Check(err)
	ts.Defer(func() { ts.Check(stop()) })
}

// leaveStream begins to count and loses interest, so that a cancel is sent.
func leaveStream(ts *testscript.TestScript) {
	client := ipc.NewClient(filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "radicle/counter.sock"), "test")
	defer client.Close()
	for _, err := range counting.Call(context.Background(), client, countArgs{1 << 40}) {
		ts.Check(err)
		break
	}
	_, err := ipc.Ping.Call(context.Background(), client, ipc.Empty{}) // answered behind the cancel
	ts.Check(err)
}

// A scriptTB lets a helper for tests fail a script.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (t scriptTB) Helper()                           {}
func (t scriptTB) Fatal(args ...any)                 { t.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (t scriptTB) Fatalf(format string, args ...any) { t.ts.Fatalf(format, args...) }
