package trustd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// body is a JSON object of an answer.
type body map[string]any

func reply(w http.ResponseWriter, status int, b body) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(b) // whoever is gone does not read
}

// A route is one endpoint and method of the API of Repository Service for TUF 1.0.
type route struct {
	method ipc.Method // what it stands for among the CBOR methods
	serve  func(c *call) error
}

// call is one request to the API.
type call struct {
	ctx    context.Context
	s      *Server
	name   string // of the repository
	q      *http.Request
	w      http.ResponseWriter
	data   []byte
	member map[string]json.RawMessage // of the body
	by     caller
	charge func() error // spends a use of the token; nil if none is due
}

// maxBody bounds the body of a request in bytes: a list of some ten thousand artifacts.
const maxBody = 16 << 20

func (s *Server) routes() map[string]route {
	return map[string]route{
		"GET bootstrap": {trust.Status, getBootstrap}, "POST bootstrap": {trust.Bootstrap, postBootstrap},
		"GET config": {trust.Status, getConfig}, "PUT config": {trust.Configure, putConfig},
		"POST metadata": {trust.Update, postMetadata}, "POST metadata/online": {trust.Force, postOnline},
		"GET metadata/sign": {trust.Show, getSign}, "POST metadata/sign": {trust.AddTo, postSign}, "PATCH metadata/sign": {trust.Override, patchSign},
		"DELETE metadata/sign": {trust.Cancel, deleteSign}, "POST metadata/sign/delete": {trust.Cancel, deleteSign},
		"POST delegations": {trust.Delegate, postDelegations}, "PUT delegations": {trust.Delegate, postDelegations},
		"POST delegations/delete": {trust.Undelegate, deleteDelegations},
		"POST artifacts":          {trust.Add, postArtifacts}, "POST artifacts/delete": {trust.Remove, deleteArtifacts},
		"POST artifacts/publish": {trust.Publish, publishArtifacts},
		"GET task":               {trust.Status, getTask},
	}
}

// serveAPI finds the route, with or without a slash at the end.
func (s *Server) serveAPI(w http.ResponseWriter, q *http.Request, routes map[string]route, name, endpoint string) {
	r, ok := routes[q.Method+" "+endpoint]
	if !ok {
		status, detail := http.StatusNotFound, "Not Found"
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if _, known := routes[method+" "+endpoint]; known {
				status, detail = http.StatusMethodNotAllowed, "Method Not Allowed"
			}
		}
		reply(w, status, body{"detail": detail})
		return
	}
	// The work goes on when the connection ends: it may be the daemon that leaves, and half a change is none.
	c := &call{ctx: context.WithoutCancel(q.Context()), s: s, name: name, q: q, w: w, by: httpCaller(q.Context())}
	if err := c.run(r); err != nil {
		c.fail(err)
	}
}

func (c *call) run(r route) error {
	if err := c.permit(r.method.Info()); err != nil {
		return err
	}
	if c.q.Method != http.MethodGet {
		data, err := io.ReadAll(http.MaxBytesReader(c.w, c.q.Body, maxBody))
		if errors.As(err, new(*http.MaxBytesError)) {
			return &httpError{http.StatusRequestEntityTooLarge, body{"detail": fmt.Sprintf("the body has more than %d bytes", maxBody)}}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &httpError{http.StatusRequestTimeout, body{"detail": fmt.Sprintf("nothing more of the body came for %s", patience)}}
		}
		if err != nil {
			return &httpError{http.StatusBadRequest, body{"detail": "the body ended early"}}
		}
		c.data = data
	}
	return r.serve(c)
}

// httpError is an answer that is not the usual one.
type httpError struct {
	status int
	body   body
}

// Error implements error.
func (e *httpError) Error() string { return fmt.Sprint(e.status, " ", e.body) }

// refuse is how a precondition that does not hold is told.
func refuse(status int, message, cause string) error {
	return &httpError{status, body{"detail": body{"message": message, "error": cause}}}
}

func (c *call) fail(err error) {
	var answer *httpError
	if errors.As(err, &answer) {
		reply(c.w, answer.status, answer.body)
		return
	}
	switch ipc.CodeOf(err) {
	case ipc.NotFound, ipc.BadRequest:
		reply(c.w, http.StatusNotFound, body{"detail": err.Error()})
	case ipc.Unavailable:
		reply(c.w, http.StatusServiceUnavailable, body{"detail": err.Error()})
	default:
		c.s.log.Error("cannot answer a request", "err", err, "path", c.q.URL.Path)
		reply(c.w, http.StatusInternalServerError, body{"detail": "Internal Server Error"})
	}
}

// object reads the body, which must be an object with the members required.
func (c *call) object(required ...string) error {
	if err := json.Unmarshal(c.data, &c.member); err != nil {
		return invalid("json_invalid", "JSON decode error", "body")
	}
	c.data = nil // it may be large, and is all in member now
	for _, name := range required {
		if value := c.member[name]; len(value) == 0 {
			return invalid("missing", "Field required", "body", name)
		}
	}
	return nil
}

// invalid is how a body that does not fit is told.
func invalid(kind, message string, location ...string) error {
	return &httpError{http.StatusUnprocessableEntity, body{"detail": []body{{"type": kind, "loc": location, "msg": message, "input": body{}}}}}
}

func decode(data json.RawMessage, v any, location ...string) error {
	if err := json.Unmarshal(data, v); err != nil {
		return invalid("value_error", "Value error, "+err.Error(), location...)
	}
	return nil
}

// with runs f with the repository of the request, which for the API exists always: one that nobody has begun is empty, and
// only a change makes its folder.
func (c *call) with(f func(r *repository) error) error {
	read := c.q.Method == http.MethodGet
	err := c.s.with(c.ctx, c.name, !read, f)
	if read && errors.Is(err, ipc.NotFound) {
		return f(&repository{name: c.name, now: c.s.now, state: &state{Format: stateFormat}})
	}
	return err
}

// job is what a request asks for, in the words of the API.
type job struct {
	task     string // name of the kind of task
	accepted string // message of the answer
	done     string // message of the task when it succeeded
	failed   string // and when it failed
	extra    body   // further data of the answer
	work     func(r *repository, task string) (outcome, error)
	details  func(outcome) map[string]any
	refuses  func() error // nil, or says after the work whether the request is refused instead of accepted
}

// submit does the job and answers as if it had been queued: that is how clients know the API. What went wrong is told in
// the answer as well, so that nobody has to poll to learn of it (D6).
func (c *call) submit(r *repository, j job) error {
	if err := c.spend(); err != nil {
		return err
	}
	id := newTask()
	out, err := j.work(r, id)
	if j.refuses != nil {
		if err := j.refuses(); err != nil {
			return err
		}
	}
	now := isoTime(r.now())
	t := task{ID: id, State: taskSuccess, Result: taskResult{Task: j.task, Status: err == nil, LastUpdate: now, Message: j.done, Details: j.details(out)}}
	data := body{"task_id": id, "last_update": now}
	for name, value := range j.extra {
		data[name] = value
	}
	if err != nil {
		c.s.log.Info("request failed", "repository", r.name, "task", j.task, "err", err)
		t.State, t.Result.Message, t.Result.Error, t.Result.Details = taskErrored, j.failed, err.Error(), nil
		if hint := ipc.HintOf(err); hint != "" {
			t.Result.Details = map[string]any{"hint": hint}
		}
		data["state"], data["error"] = taskErrored, err.Error()
	}
	if err := r.folder.saveTask(t); err != nil {
		return err
	}
	r.folder.pruneTasks()
	reply(c.w, http.StatusAccepted, body{"data": data, "message": j.accepted})
	return nil
}

func getTask(c *call) error {
	id := c.q.URL.Query().Get("task_id")
	if !c.q.URL.Query().Has("task_id") {
		return invalid("missing", "Field required", "query", "task_id")
	}
	return c.with(func(r *repository) error {
		t, err := r.folder.loadTask(id)
		if err != nil {
			return err
		}
		data := body{"task_id": id, "state": t.State}
		if t.State != taskPending {
			data["result"] = t.Result
		}
		reply(c.w, http.StatusOK, body{"data": data, "message": "Task state."})
		return nil
	})
}

// matchOf returns the digest that If-Match names, empty if there is none or any will do.
func matchOf(q *http.Request) string {
	match := strings.Trim(strings.TrimPrefix(strings.TrimSpace(q.Header.Get("If-Match")), "W/"), `"`)
	if match == "*" {
		return ""
	}
	return match
}

// remoteKey is where the context of a request that came over TCP, where anybody may call, has the client's address.
type remoteKey struct{}

func isRemote(ctx context.Context) bool { return ctx.Value(remoteKey{}) != nil }

func httpCaller(ctx context.Context) caller {
	if address, ok := ctx.Value(remoteKey{}).(string); ok {
		return caller{who: "HTTP from " + address}
	}
	if pid, ok := ctx.Value(pidKey{}).(int32); ok && pid > 0 {
		return caller{who: fmt.Sprintf("process %d over HTTP", pid)}
	}
	return caller{who: "HTTP"}
}

type pidKey struct{}
