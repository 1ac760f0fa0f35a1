package gitd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/services/git/pktline"
	"github.com/lnk-suite/lnk/services/project"
)

// command is one ref that a push wants to change. Old and New are as the client sent them: zero for none.
type command struct {
	ref      string // relative to the peer's namespace
	old, new project.OID
	refused  string // why it was not done, "" while nothing speaks against it
}

// order is everything that git receive-pack hands to proc-receive (githooks).
type order struct {
	commands []*command
	atomic   bool
}

const (
	procReceiveVersion = "version=1"
	maxPushOptions     = 64 << 10 // bytes of all push options together
)

// readOrder speaks the hook's half of the protocol up to the report.
func readOrder(in io.Reader, out io.Writer) (*order, error) {
	r := bufio.NewReaderSize(in, 64<<10)
	features, err := readVersion(r)
	if err != nil {
		return nil, err
	}
	withOptions := slices.Contains(features, "push-options")
	reply := procReceiveVersion + "\x00atomic"
	if withOptions {
		reply += " push-options"
	}
	if _, err := out.Write(pktline.AppendFlush(pktline.Append(nil, reply))); err != nil {
		return nil, fmt.Errorf("cannot answer git receive-pack: %w", err)
	}
	o := &order{atomic: slices.Contains(features, "atomic")}
	if err := o.readCommands(r); err != nil {
		return nil, err
	}
	if withOptions {
		err = skipOptions(r)
	}
	return o, err
}

func readVersion(r io.Reader) (features []string, err error) {
	err = eachLine(r, func(line string) error {
		version, rest, _ := strings.Cut(line, "\x00")
		if version != procReceiveVersion {
			return fmt.Errorf("git receive-pack speaks %q, expected %s", version, procReceiveVersion)
		}
		features = strings.Fields(rest)
		return nil
	})
	return features, err
}

func (o *order) readCommands(r io.Reader) error {
	return eachLine(r, func(line string) error {
		fields := strings.SplitN(line, " ", 3)
		if len(fields) != 3 {
			return fmt.Errorf("bad command %q from git receive-pack", line)
		}
		before, err := project.ParseOID(fields[0])
		if err != nil {
			return err
		}
		after, err := project.ParseOID(fields[1])
		if err != nil {
			return err
		}
		o.commands = append(o.commands, &command{ref: fields[2], old: before, new: after})
		return nil
	})
}

// skipOptions reads push options: git takes them only from a server that does, and here they mean nothing.
func skipOptions(r io.Reader) error {
	size := 0
	return eachLine(r, func(line string) error {
		if size += len(line); size > maxPushOptions {
			return fmt.Errorf("more than %d bytes of push options", maxPushOptions)
		}
		return nil
	})
}

// eachLine calls f for every line up to the next flush packet.
func eachLine(r io.Reader, f func(line string) error) error {
	for {
		line, err := pktline.Read(r, nil, pktline.MaxData)
		switch {
		case errors.Is(err, pktline.ErrFlush):
			return nil
		case err != nil:
			return fmt.Errorf("cannot read from git receive-pack: %w", err)
		}
		if err := f(string(line)); err != nil {
			return err
		}
	}
}

// report encodes what became of each command.
func (o *order) report() []byte {
	var b []byte
	for _, c := range o.commands {
		if c.refused == "" {
			b = pktline.Append(b, "ok "+c.ref)
		} else {
			b = pktline.Append(b, "ng "+c.ref+" "+oneLine(c.refused))
		}
	}
	return pktline.AppendFlush(b)
}

// refuseAll refuses what has not been refused yet.
func (o *order) refuseAll(why string) {
	for _, c := range o.commands {
		if c.refused == "" {
			c.refused = why
		}
	}
}

// open returns the commands that nothing speaks against yet.
func (o *order) open() []*command {
	return slices.DeleteFunc(slices.Clone(o.commands), func(c *command) bool { return c.refused != "" })
}

const maxReason = 400

// oneLine makes a reason fit the report: a packet line, shown by git in one line.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "..."
	}
	return s
}
