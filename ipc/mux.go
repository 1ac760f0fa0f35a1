package ipc

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Mux holds the methods of one service. Methods are added before the first connection is served and never after.
type Mux struct {
	service, version string
	methods          map[string]*method
	health           func(context.Context) error
	describe         func() Description
}

// NewMux returns a Mux that answers ipc.describe, ipc.ping and ipc.health. Service is the daemon's name without "lnk-"
// ("gitd"), version its version.
func NewMux(service, version string) *Mux {
	x := &Mux{service: service, version: version, methods: map[string]*method{}}
	x.describe = sync.OnceValue(x.description)
	x.addIntrospection()
	return x
}

// CheckHealth makes ipc.health report what f returns. Without it the service is healthy as long as it answers.
func (x *Mux) CheckHealth(f func(context.Context) error) { x.health = f }

// Methods returns all methods, sorted by name.
func (x *Mux) Methods() []MethodInfo {
	infos := make([]MethodInfo, 0, len(x.methods))
	for _, name := range slices.Sorted(maps.Keys(x.methods)) {
		infos = append(infos, x.methods[name].info)
	}
	return infos
}

func (x *Mux) add(m *method) {
	name := m.info.Name
	if _, twice := x.methods[name]; twice || !validName(name) {
		panic("ipc: method " + name + " has a bad name or is there already")
	}
	m.open = strings.HasPrefix(name, "ipc.")
	x.methods[name] = m
}

// validName reports whether name looks like "service.some-method".
func validName(name string) bool {
	service, method, ok := strings.Cut(name, ".")
	return ok && len(name) <= maxMethod && validWord(service) && validWord(method)
}

func validWord(word string) bool {
	if word == "" || word[0] < 'a' || word[0] > 'z' {
		return false
	}
	for _, r := range word {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return false
		}
	}
	return true
}
