package units

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "lnk-") {
		stub()
		return
	}
	os.Exit(m.Run())
}

func stub() {
	idle := flag.Duration("idle", 15*time.Minute, "")
	flag.String("peer", "", "")
	flag.Parse()
	l, err := net.FileListener(os.NewFile(3, "l"))
	if err != nil {
		panic(err)
	}
	if n, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		fmt.Fprint(n, "READY=1")
		n.Close()
	} else {
		panic(err)
	}
	for {
		l.(*net.UnixListener).SetDeadline(time.Now().Add(*idle))
		c, err := l.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(c)
		r.ReadByte()
		fmt.Fprintln(c, os.Getpid())
		c.Close()
	}
}
