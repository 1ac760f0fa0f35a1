package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An edge of a graph of delegations is "by>name", with "!" at the end if it is terminating and ":pattern" if it does not cover
// everything.
func (w *world) edges(list string) {
	changed := map[string]bool{}
	for _, edge := range strings.Fields(list) {
		edge, terminating := strings.CutSuffix(edge, "!")
		edge, pattern, some := strings.Cut(edge, ":")
		if !some {
			pattern = "*"
		}
		by, name, _ := strings.Cut(edge, ">")
		w.delegate(by, name, doc{"paths": strings.Split(pattern, ","), "terminating": terminating})
		changed[by], changed[name] = true, true
	}
	w.publish(slices.Sorted(maps.Keys(changed))...)
	w.publish("snapshot", "timestamp")
}

// graphCases are test_graph_traversal of test_updater_delegation_graphs.py: in which order roles are asked for a target that
// nobody has.
func graphCases() (cases []conformance) {
	for name, graph := range map[string]struct{ edges, order string }{
		"basic-delegation":                                          {"targets>A", "A"},
		"single-level-delegations":                                  {"targets>A targets>B", "A B"},
		"two-level-delegations":                                     {"targets>A targets>B B>C", "A B C"},
		"two-level-test-DFS-order-of-traversal":                     {"targets>A targets>B A>C A>D", "A C D B"},
		"three-level-delegation-test-DFS-order-of-traversal":        {"targets>A targets>B A>C C>D", "A C D B"},
		"two-level-terminating-ignores-all-but-roles-descendants":   {"targets>A targets>B A>C! A>D", "A C"},
		"three-level-terminating-ignores-all-but-roles-descendants": {"targets>A targets>B A>C! C>D", "A C D"},
		"two-level-ignores-all-branches-not-matching-paths":         {"targets>A:*.py targets>B A>C", "B"},
		"three-level-ignores-all-branches-not-matching-paths":       {"targets>A targets>B A>C:*.py C>D", "A B"},
		"cyclic-graph":                                    {"targets>A targets>B B>C C>D D>B", "A B C D"},
		"two-roles-delegating-to-a-third":                 {"targets>A targets>B B>C A>C", "A C B"},
		"two-roles-delegating-to-a-third-different-paths": {"targets>A targets>B B>C A>C:*.py", "A B C"},
	} {
		cases = append(cases, conformance{fmt.Sprintf("test_graph_traversal[%s]", name), func(w *world) {
			w.begin()
			w.edges(graph.edges)
			w.download("missingpath", bad)
			w.askedBelow(graph.order)
		}})
	}
	return cases
}

// askedBelow compares which roles below targets were asked, after the top-level ones.
func (w *world) askedBelow(order string) {
	w.t.Helper()
	var want []string
	for _, role := range strings.Fields(order) {
		want = append(want, role+" 1")
	}
	if got := w.requests(); len(got) < 4 || !slices.Equal(got[4:], want) {
		w.t.Fatalf("asked for %q, want %q after four", got, want)
	}
}

// searchCases are test_targetfile_search of the same file.
func searchCases() (cases []conformance) {
	tests := map[string]struct {
		path  string
		found bool
		order string
	}{
		"no delegations":                                        {"targetfile", true, ""},
		"targetpath matches wildcard":                           {"README.md", true, "A"},
		"targetpath with separators x":                          {"releases/x/x_v1", true, "B C"},
		"targetpath with separators y":                          {"releases/y/y_v1.zip", true, "B D"},
		"targetpath is not delegated by all roles in the chain": {"releases/z/z_v1.zip", false, "B"},
	}
	for name, test := range tests {
		cases = append(cases, conformance{fmt.Sprintf("test_targetfile_search[%s]", name), func(w *world) {
			w.begin()
			w.delegate("targets", "A", doc{"paths": []string{"*.doc", "*.md"}})
			w.delegate("targets", "B", doc{"paths": []string{"releases/*/*"}})
			w.delegate("B", "C", doc{"paths": []string{"releases/x/*"}})
			w.delegate("B", "D", doc{"paths": []string{"releases/y/*.zip"}})
			w.addFile("targets", "targetfile", "targetfile content")
			w.addFile("A", "README.md", "README by A")
			w.addFile("C", "releases/x/x_v1", "x release by C")
			w.addFile("D", "releases/y/y_v1.zip", "y release by D")
			w.addFile("D", "releases/z/z_v1.zip", "z release by D")
			w.publish("A", "B", "C", "D", "targets", "snapshot", "timestamp")
			w.download(test.path, test.found)
			if test.found {
				w.downloaded(string(w.sim.files[test.path]))
			}
			w.askedBelow(test.order)
		}})
	}
	return cases
}
