package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

const idleConnections = 1000

// render prints medians, then the median of each round's or turn's ratio to the floor (latency: times slower; rate:
// fraction), then allocations and memory.
func render(servers []*server, all []figures) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(w, "median", func(c column) string { return c.name })
	for i, s := range servers {
		row(w, s.transport.name, "%.1f", func(column int) []float64 { return all[i][column] })
	}
	fmt.Fprintln(w)
	heading(w, "ratio to", func(c column) string { return servers[c.base].transport.name })
	for i, s := range servers {
		row(w, s.transport.name, "%.2f", func(column int) []float64 {
			return ratios(all[i][column], all[columns[column].base][column])
		})
	}
	fmt.Fprintf(w, "\n\tallocations per call\tKiB per idle connection, of %d\t\n", idleConnections)
	for _, s := range servers {
		allocated, err := s.allocationsPerCall(smallPayload)
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

func ratios(values, base []float64) (r []float64) {
	for i, v := range values {
		r = append(r, v/base[i])
	}
	return r
}

func row(w *tabwriter.Writer, name, format string, of func(column int) []float64) {
	fmt.Fprint(w, name, "\t")
	for c := range columns {
		if m := median(of(c)); math.IsNaN(m) {
			fmt.Fprint(w, "-\t")
		} else {
			fmt.Fprintf(w, format+"\t", m)
		}
	}
	fmt.Fprintln(w)
}
