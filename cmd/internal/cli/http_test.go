package cli

import (
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// http STATUS METHOD URL [TOKENFILE [BODYFILE]] makes a request, expects the status, and writes challenge and body of the
// answer to the file answer.
func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: http STATUS METHOD URL [TOKENFILE [BODYFILE]]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	body := ""
	if len(args) > 4 {
		body = ts.ReadFile(args[4])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, args[1], args[2], strings.NewReader(body))
	ts.Check(err)
	if len(args) > 3 {
		q.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[3])))
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	a, err := client.Do(q)
	ts.Check(err)
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), []byte(a.Header.Get("WWW-Authenticate")+"\n"+string(data)), 0o600))
	if a.StatusCode != want {
		ts.Fatalf("%s %s: %s %s", args[1], args[2], a.Status, data)
	}
}
