package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"text/tabwriter"

	"github.com/lnk-suite/lnk/ipc"
)

// format is how results are printed: the value of -o.
type format string

const (
	textFormat format = "text"
	jsonFormat format = "json"
	cborFormat format = "cbor"
)

// String, Set and Type make *format a pflag.Value.
func (f *format) String() string { return string(*f) }

// Set accepts the three names.
func (f *format) Set(text string) error {
	switch format(text) {
	case textFormat, jsonFormat, cborFormat:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("want text, json or cbor")
}

// Type names the value in help texts.
func (f *format) Type() string { return "string" }

// printResult writes one result in the format that was asked for: people's text, one line of JSON, or one CBOR item (several
// results make a CBOR sequence, RFC 8742). It writes once, so that a reader sees whole lines.
func printResult[R any](a *app, result R, text func(io.Writer, R) error) error {
	switch a.format {
	case jsonFormat:
		data, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("cannot encode the result: %w", err)
		}
		return a.write(append(data, '\n'))
	case cborFormat:
		data, err := ipc.Marshal(result)
		if err != nil {
			return fmt.Errorf("cannot encode the result: %w", err)
		}
		return a.write(data)
	}
	if text == nil {
		return nil
	}
	var lines bytes.Buffer
	if err := text(&lines, result); err != nil {
		return err
	}
	return a.write(lines.Bytes())
}

// printEach prints results one by one as they come, until the first error.
func printEach[R any](a *app, results iter.Seq2[R, error], text func(io.Writer, R) error) error {
	for result, err := range results {
		if err != nil {
			return err
		}
		if err := printResult(a, result, text); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) write(data []byte) error {
	if _, err := a.Stdout.Write(data); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// table prints rows of columns under a heading; rows calls row once per line.
func table(w io.Writer, heading string, rows func(row func(cells ...any))) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, heading)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	})
	return t.Flush()
}

// count says how many of something there are: "1 ref", "2 refs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
