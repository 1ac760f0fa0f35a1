package busd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// StreamName is the one stream, over rad.>; its name is part of the protocol between bus and client.
const StreamName = "RAD"

// defaultPerTopic is how many events of one topic are kept, so that a chatty topic does not push the others out of the
// buffer. One push makes an event per ref, all on one topic, so it is well above the refs of a large repository.
const defaultPerTopic = 1 << 16

// limit sets today's limits on cfg; they bound what a desktop spends on the buffer (issue 2). The duplicate window
// bounds how long a publisher may take to repeat a message after a crash.
func limit(cfg *server.StreamConfig, perTopic int64) {
	cfg.Name = StreamName
	cfg.Subjects = []string{"rad.>"}
	cfg.Storage, cfg.Retention, cfg.Discard = server.FileStorage, server.LimitsPolicy, server.DiscardOld
	cfg.Replicas, cfg.MaxConsumers, cfg.MaxMsgs = 1, -1, -1
	cfg.MaxAge = 7 * 24 * time.Hour
	cfg.MaxBytes = 64 << 20
	cfg.MaxMsgsPer = perTopic
	cfg.MaxMsgSize = maxEvent
	cfg.Duplicates = 10 * time.Minute
	cfg.AllowDirect, cfg.AllowAtomicPublish = true, true
}

// An apiError is the server's refusal of a request on its JetStream API.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     uint16 `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// errStreamNotFound is JetStream's error code for a stream that does not exist.
const errStreamNotFound = 10059

// ensureStream creates the stream with firstSeq as the number of its first event, or brings an existing one to
// today's limits. On a full disk an existing stream stays as it is.
func ensureStream(a *admin, perTopic int64, firstSeq uint64, full bool) error {
	var info struct{ Config server.StreamConfig }
	err := a.request("$JS.API.STREAM.INFO."+StreamName, nil, &info)
	var api *apiError
	if errors.As(err, &api) && api.ErrCode == errStreamNotFound {
		cfg := server.StreamConfig{FirstSeq: firstSeq}
		limit(&cfg, perTopic)
		return a.request("$JS.API.STREAM.CREATE."+StreamName, cfg, nil)
	}
	if err != nil || full {
		return err
	}
	want := info.Config
	limit(&want, perTopic)
	if reflect.DeepEqual(want, info.Config) {
		return nil
	}
	return a.request("$JS.API.STREAM.UPDATE."+StreamName, want, nil)
}

// admin is a connection of the bus to itself, over which it manages the stream: NATS offers that only through its
// protocol. The few lines of text save a client library.
type admin struct {
	conn net.Conn
	in   *bufio.Reader
}

const adminInbox = "_INBOX.lnk-busd"

// newAdmin opens the conversation; head is the PROXY header that says who we are. The server writes first, on an
// unbuffered pipe, so it must be read before anything is written.
func newAdmin(conn net.Conn, head []byte) (*admin, error) {
	a := &admin{conn: conn, in: bufio.NewReader(conn)}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := a.in.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("cannot read the embedded server's greeting: %w", err)
	}
	open := "CONNECT {\"verbose\":false,\"name\":\"lnk-busd\"}\r\nSUB " + adminInbox + " 1\r\n"
	if _, err := conn.Write(append(head, open...)); err != nil {
		return nil, fmt.Errorf("cannot greet the embedded server: %w", err)
	}
	return a, nil
}

// request sends body as JSON to an API subject and decodes the answer into result, unless that is nil.
func (a *admin) request(subject string, body, result any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.conn, "PUB %s %s %d\r\n%s\r\n", subject, adminInbox, len(payload), payload); err != nil {
		return err
	}
	answer, err := a.message()
	if err != nil {
		return fmt.Errorf("cannot ask the embedded server %s: %w", subject, err)
	}
	var reply struct{ Error *apiError }
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("cannot read the embedded server's answer to %s: %w", subject, err)
	}
	if reply.Error != nil {
		return reply.Error
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// message skips everything up to the next message and returns its payload.
func (a *admin) message() ([]byte, error) {
	for {
		line, err := a.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) > 3 && fields[0] == "MSG":
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return nil, err
			}
			payload := make([]byte, n+2)
			_, err = io.ReadFull(a.in, payload)
			return payload[:n], err
		case len(fields) > 0 && fields[0] == "-ERR":
			return nil, errors.New(strings.TrimSpace(line))
		}
	}
}
