package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

const idleConnections = 1000

// render prints medians, then the median of each round's ratio to the floor (latency: times slower; rate: fraction), then
// allocations and memory.
func render(servers []*server, all [][]figures) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(w, "median", func(c column) string { return c.name })
	for i, s := range servers {
		row(w, s.transport.name, "%.1f", func(column, round int) float64 { return all[i][round][column] }, len(all[i]))
	}
	fmt.Fprintln(w)
	heading(w, "ratio to", func(c column) string { return servers[c.base].transport.name })
	for i, s := range servers {
		row(w, s.transport.name, "%.2f", func(column, round int) float64 {
			return all[i][round][column] / all[columns[column].base][round][column]
		}, len(all[i]))
	}
	fmt.Fprintf(w, "\n\tallocations per call\tKiB per idle connection, of %d\t\n", idleConnections)
	for _, s := range servers {
		allocated, err := s.allocationsPerCall(make([]byte, 64))
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.transport.name, err)
		}
		kib, err := s.idleKiB(idleConnections)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.transport.name, err)
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t\n", s.transport.name, allocated, kib)
	}
	w.Flush()
	return b.String(), nil
}

func heading(w *tabwriter.Writer, title string, of func(column) string) {
	fmt.Fprint(w, title, "\t")
	for _, c := range columns {
		fmt.Fprint(w, of(c), "\t")
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
		if m := median(values); math.IsNaN(m) {
			fmt.Fprint(w, "-\t")
		} else {
			fmt.Fprintf(w, format+"\t", m)
		}
	}
	fmt.Fprintln(w)
}
