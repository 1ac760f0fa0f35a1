package trustd

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/token"
)

// permit asks for a bearer token (RFC 6750) where one is due: for changes over TCP, where anybody may call, and for what the
// settings demand one for. It does so before the body is read, and takes the use of a read. That of a change is taken when
// its work begins (spend): so what is refused because it makes no sense costs nothing.
func (c *call) permit(m ipc.MethodInfo) error {
	demanded, err := c.s.tokens.Demands(m.Name)
	if err != nil {
		c.s.log.Error("cannot permit anything", "err", err)
		return refuse(http.StatusServiceUnavailable, "Task not accepted.", "The settings are not in order.")
	}
	isChange := m.Access == ipc.Change
	if !demanded && !(isChange && isRemote(c.ctx)) {
		return nil
	}
	text := bearer(c.q)
	c.charge = func() error { return c.denied(m.Name, c.s.tokens.Spend(c.q.Context(), text, m.Name, c.by.who)) }
	if !isChange {
		return c.spend()
	}
	return c.denied(m.Name, c.s.tokens.Check(c.q.Context(), text, m.Name, c.by.who))
}

// spend takes the use that is due, if it was not taken yet. The work may begin if there is no error.
func (c *call) spend() error {
	if c.charge == nil {
		return nil
	}
	charge := c.charge
	c.charge = nil
	return charge()
}

// bearer returns the token of a request, nil if there is none.
func bearer(q *http.Request) []byte {
	scheme, text, ok := strings.Cut(q.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	return []byte(strings.TrimSpace(text))
}

// denied tells why a token is refused as RFC 6750, section 3.1, has it: 403 for a good one that does not permit the method,
// else 401. What is not the token's fault it leaves as it is.
func (c *call) denied(method string, err error) error {
	if !errors.Is(err, ipc.PermissionDenied) {
		return err
	}
	status, challenge, cause := http.StatusUnauthorized, `Bearer error="invalid_token"`, "Failed to validate token"
	switch {
	case errors.Is(err, token.ErrMissing):
		challenge = "Bearer"
	case errors.Is(err, token.ErrScope):
		status, challenge, cause = http.StatusForbidden, fmt.Sprintf(`Bearer error="insufficient_scope", scope=%q`, method), fmt.Sprintf("scope '%s' not allowed", method)
	}
	c.w.Header().Set("WWW-Authenticate", challenge)
	return refuse(status, err.Error(), cause)
}
