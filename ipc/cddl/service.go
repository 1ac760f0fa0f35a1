package cddl

import "reflect"

// A Method is what Service needs to know about a method.
type Method struct {
	Name         string // "git.refs"
	Stream       bool
	Access       string // "read" or "change"
	Short, Long  string
	Args, Result reflect.Type
}

// Service writes the contract of a socket: the envelope and the methods.
func Service(name string, methods []Method) string {
	return "; " + name + "\n"
}
