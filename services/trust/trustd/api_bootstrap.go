package trustd

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/lnk-suite/lnk/services/trust"
)

func getBootstrap(c *call) error {
	return c.with(func(r *repository) error {
		data := body{"bootstrap": r.state.phase() == phaseFinished}
		message := "System available for bootstrap."
		if phase := r.state.phase(); phase != phaseNone {
			message = "System LOCKED for bootstrap."
			data["state"], data["id"] = phase, r.state.bootstrapTask()
		}
		reply(c.w, http.StatusOK, body{"data": data, "message": message})
		return nil
	})
}

func postBootstrap(c *call) error {
	if err := c.object("settings", "metadata"); err != nil {
		return err
	}
	set, err := readSettings(c.member["settings"])
	if err != nil {
		return err
	}
	root, err := onlyRoot(c.member["metadata"])
	if err != nil {
		return err
	}
	return c.with(func(r *repository) error {
		if phase := r.state.phase(); phase != phaseNone { // rule P4
			return &httpError{http.StatusNotFound, body{"detail": body{"error": "System already has a Metadata. State: " + phase}}}
		}
		return c.submit(r, job{
			task: "bootstrap", accepted: "Bootstrap accepted.", done: "Bootstrap Processed", failed: "Bootstrap Failed",
			work: func(r *repository, task string) (outcome, error) {
				return r.bootstrap(c.ctx, bootstrapRequest{settings: set, root: root}, task, c.by)
			},
			details: func(out outcome) map[string]any {
				if out.complete {
					return map[string]any{"bootstrap": "Bootstrap finished " + r.state.bootstrapTask()}
				}
				return map[string]any{"bootstrap": "Root v1 is pending signature"}
			},
		})
	})
}

// onlyRoot returns the one document of {"root": …}.
func onlyRoot(data json.RawMessage) ([]byte, error) {
	var documents map[string]json.RawMessage
	if err := decode(data, &documents, "body", "metadata"); err != nil {
		return nil, err
	}
	for name := range documents {
		if name != trust.RoleRoot {
			return nil, invalid("literal_error", "Input should be 'root'", "body", "metadata", name, "[key]")
		}
	}
	root, ok := documents[trust.RoleRoot]
	if !ok {
		return nil, invalid("missing", "Field required", "body", "metadata", trust.RoleRoot)
	}
	return root, nil
}

// apiDelegations is how the API writes delegations.
type apiDelegations struct {
	Keys map[string]struct {
		Type   string `json:"keytype"`
		Scheme string `json:"scheme"`
		Value  struct {
			Public string `json:"public"`
		} `json:"keyval"`
		Name string `json:"x-rstuf-key-name"`
	} `json:"keys"`
	Roles []apiRole `json:"roles"`
}

type apiRole struct {
	Name        string   `json:"name"`
	KeyIDs      []string `json:"keyids"`
	Threshold   int      `json:"threshold"`
	Terminating bool     `json:"terminating"`
	Paths       []string `json:"paths"`
	Days        int      `json:"x-rstuf-expire-policy"`
}

// read returns the delegations, and the days that go with them. A role without keys is the online key's, and so is, once the
// online key is known, one that names it (see online).
func (a apiDelegations) read() ([]delegation, map[string]int, error) {
	var list []delegation
	days := map[string]int{}
	for _, role := range a.Roles {
		if err := trust.CheckRoleName(role.Name); err != nil {
			return nil, nil, invalid("value_error", "Value error, "+err.Error(), "body", "delegations", "roles", "name")
		}
		if len(role.Paths) == 0 || slices.Contains(role.Paths, "") {
			return nil, nil, invalid("value_error", "Value error, at least one path that is not empty", "body", "delegations", "roles", "paths")
		}
		d := delegation{Name: role.Name, Threshold: max(role.Threshold, 1), Paths: role.Paths, Terminating: role.Terminating, Names: map[string]string{}}
		for _, id := range role.KeyIDs {
			key, ok := a.Keys[id]
			pub, err := hex.DecodeString(key.Value.Public)
			if !ok || err != nil || key.Type != "ed25519" {
				return nil, nil, invalid("value_error", fmt.Sprintf("Value error, key %.64s is not there, or no ed25519 key", id), "body", "delegations", "keys")
			}
			d.Keys = append(d.Keys, pub)
			d.call(pub, key.Name)
		}
		if role.Days > 0 {
			days[role.Name] = role.Days
		}
		list = append(list, d)
	}
	return list, days, nil
}

// online turns delegations to nobody but the online key into what they are.
func online(list []delegation, key []byte) []delegation {
	list = slices.Clone(list)
	for i, d := range list {
		if len(d.Keys) == 1 && string(d.Keys[0]) == string(key) {
			list[i].Keys = nil
		}
	}
	return list
}

func readSettings(data json.RawMessage) (settings, error) {
	var in struct {
		Roles map[string]json.RawMessage `json:"roles"`
	}
	if err := decode(data, &in, "body", "settings"); err != nil {
		return settings{}, err
	}
	set := settings{Expiration: map[string]int{}}
	for _, role := range []string{trust.RoleRoot, trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp} {
		if len(in.Roles[role]) == 0 {
			return set, invalid("missing", "Field required", "body", "settings", "roles", role)
		}
	}
	for role, value := range in.Roles {
		if string(value) == "null" {
			continue
		}
		if err := set.read(role, value); err != nil {
			return set, err
		}
	}
	if (set.Bins > 0) == (len(set.Delegated) > 0) {
		return set, invalid("value_error", "Value error, Exactly one of 'bins' and 'delegations' must be set", "body", "settings", "roles")
	}
	if err := set.check(); err != nil {
		return set, invalid("value_error", "Value error, "+err.Error(), "body", "settings", "roles")
	}
	return set, nil
}

func (s *settings) read(role string, value json.RawMessage) error {
	location := []string{"body", "settings", "roles", role}
	if role == "delegations" {
		var in apiDelegations
		if err := decode(value, &in, location...); err != nil {
			return err
		}
		list, days, err := in.read()
		for name, n := range days {
			s.Expiration[name] = n
		}
		s.Delegated = list
		return err
	}
	var in struct {
		Expiration int  `json:"expiration"`
		Bins       *int `json:"number_of_delegated_bins"`
	}
	if err := decode(value, &in, location...); err != nil {
		return err
	}
	if in.Expiration < 1 {
		return invalid("greater_than_equal", "Input should be greater than or equal to 1", append(location, "expiration")...)
	}
	s.Expiration[role] = in.Expiration
	if role == roleBins {
		if in.Bins == nil {
			return invalid("missing", "Field required", append(location, "number_of_delegated_bins")...)
		}
		if *in.Bins <= 1 || *in.Bins >= 16385 {
			return invalid("value_error", "Input should be greater than 1 and less than 16385", append(location, "number_of_delegated_bins")...)
		}
		s.Bins = *in.Bins
	}
	return nil
}

// needsBootstrap is how the API says that there are no settings yet.
func (c *call) needsBootstrap(r *repository) error {
	if r.state.phase() == phaseFinished {
		return nil
	}
	return refuse(http.StatusNotFound, "No Repository Settings/Config found.", "It requires bootstrap. State: "+r.state.phase())
}

func getConfig(c *call) error {
	return c.with(func(r *repository) error {
		if err := c.needsBootstrap(r); err != nil {
			return err
		}
		set := r.state.Settings
		data := body{"bootstrap": r.state.Bootstrap, "root_threshold": set.RootThreshold, "root_num_keys": set.RootKeys, "targets_online_key": true}
		for role, days := range set.Expiration {
			data[role+"_expiration"] = days
			if role != trust.RoleRoot {
				data[role+"_threshold"], data[role+"_num_keys"] = 1, 1
			}
		}
		if set.Bins > 0 {
			data["number_of_delegated_bins"] = set.Bins
		} else {
			names := []string{}
			for _, d := range set.Delegated {
				names = append(names, d.Name)
			}
			data["delegated_roles_names"] = names
		}
		reply(c.w, http.StatusOK, body{"data": data, "message": "Current Settings"})
		return nil
	})
}

func putConfig(c *call) error {
	if err := c.object("settings"); err != nil {
		return err
	}
	var in struct {
		Expiration map[string]int `json:"expiration"`
	}
	if err := decode(c.member["settings"], &in, "body", "settings"); err != nil {
		return err
	}
	return c.with(func(r *repository) error {
		if err := c.needsBootstrap(r); err != nil {
			return err
		}
		return c.submit(r, job{
			task: "update_settings", accepted: "Settings successfully submitted.", done: "Update Settings Succeded", failed: "Update Settings Failed",
			work: func(r *repository, _ string) (outcome, error) { return r.configure(in.Expiration) },
			details: func(out outcome) map[string]any {
				return map[string]any{"updated_roles": list(out.done), "invalid_roles": list(out.refused)}
			},
		})
	})
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
