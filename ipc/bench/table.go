package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

const idleConnections = 1000

// render prints medians, then the median of each round's ratio to the first transport (latency: times slower; rate:
// fraction), then memory.
func render(servers []*server, all [][]figures) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(w, "median")
	for i, s := range servers {
		row(w, s.transport.name, "%.1f", func(column, round int) float64 { return all[i][round][column] }, len(all[i]))
	}
	fmt.Fprintln(w)
	heading(w, "ratio to raw")
	for i, s := range servers {
		row(w, s.transport.name, "%.2f", func(column, round int) float64 {
			return all[i][round][column] / all[0][round][column]
		}, len(all[i]))
	}
	w.Flush()
	b.WriteString("\nKiB per idle connection, of ")
	fmt.Fprintf(&b, "%d:\n", idleConnections)
	for _, s := range servers {
		kib, err := s.idleKiB(idleConnections)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.transport.name, err)
		}
		fmt.Fprintf(&b, "%16s %5.1f\n", s.transport.name, kib)
	}
	return b.String(), nil
}

func heading(w *tabwriter.Writer, title string) {
	fmt.Fprint(w, title, "\t")
	for _, c := range columns {
		fmt.Fprint(w, c.name, "\t")
	}
	fmt.Fprintln(w)
}

func row(w *tabwriter.Writer, name, format string, at func(column, round int) float64, rounds int) {
	fmt.Fprint(w, name, "\t")
	for c := range columns {
		values := make([]float64, rounds)
		for r := range values {
			values[r] = at(c, r)
		}
		slices.Sort(values)
		fmt.Fprintf(w, format+"\t", values[rounds/2])
	}
	fmt.Fprintln(w)
}
