// Package profile knows where things are: the suite's folders, sockets, and the person's profiles.
//
// A profile is one device key and its settings, a small TOML file <config>/profiles/NAME.toml; the file <config>/active
// names the profile in use. Files appear whole or not at all. The package opens no key, agent or repository, and stays
// light, as git-remote-lnk starts once per push.
package profile
