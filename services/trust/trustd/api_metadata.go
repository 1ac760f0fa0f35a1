package trustd

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

func postMetadata(c *call) error {
	if err := c.object("metadata"); err != nil {
		return err
	}
	root, err := onlyRoot(c.member["metadata"])
	if err != nil {
		return err
	}
	return c.with(func(r *repository) error {
		if err := c.needsFinished(r, "Requires bootstrap finished. State: "); err != nil {
			return err
		}
		return c.submit(r, job{
			task: "metadata_update", accepted: "Metadata update accepted.", done: "Metadata Update Processed", failed: "Metadata Update Failed",
			work: func(r *repository, task string) (outcome, error) {
				return r.update(c.ctx, root, moment(nil), task, c.by)
			},
			details: updateDetails,
		})
	})
}

func updateDetails(out outcome) map[string]any {
	details := map[string]any{"role": out.role}
	if !out.complete {
		details["update"] = fmt.Sprintf("%s v%d is pending signatures", title(out.role), out.version)
	}
	return details
}

// title writes root as messages of the API do; other names are left as they are (D7).
func title(role string) string {
	if role == trust.RoleRoot {
		return "Root"
	}
	return role
}

func (c *call) needsFinished(r *repository, text string) error {
	if r.state.phase() == phaseFinished {
		return nil
	}
	return refuse(http.StatusNotFound, "Task not accepted.", text+r.state.phase())
}

func postOnline(c *call) error {
	if err := c.object("roles"); err != nil {
		return err
	}
	var roles []string
	if err := decode(c.member["roles"], &roles, "body", "roles"); err != nil {
		return err
	}
	return c.with(func(r *repository) error {
		if err := c.needsFinished(r, "Requires bootstrap finished. State: "); err != nil {
			return err
		}
		for _, role := range roles {
			known := slices.Contains([]string{trust.RoleRoot, trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp, roleBins}, role)
			if !known && r.state.Settings.Bins > 0 {
				return refuse(http.StatusNotFound, "Task not accepted.", "Hash bin delegation is used and only root, targets, snapshot, timestamp and bins roles can be bumped")
			}
			if role == roleBins && r.state.Settings.Bins == 0 {
				return refuse(http.StatusNotFound, "Task not accepted.", "Custom target delegation used and bins cannot be bumped")
			}
		}
		return c.submit(r, job{
			task: "force_online_metadata_update", accepted: "Force online metadata update accepted.",
			done: "Force new online metadata update succeeded", failed: "Force new online metadata update failed",
			work:    func(r *repository, _ string) (outcome, error) { return r.force(c.ctx, roles, c.by) },
			details: func(out outcome) map[string]any { return map[string]any{"updated_roles": list(out.done)} },
		})
	})
}

func getSign(c *call) error {
	return c.with(func(r *repository) error {
		const none = "No metadata pending signing available"
		if r.state.phase() == phaseNone {
			return refuse(http.StatusNotFound, none, "Requires bootstrap started. State: "+phaseNone)
		}
		documents := map[string]json.RawMessage{}
		for role := range r.drafts {
			if doc, _, err := r.draft(role); err == nil {
				documents[role] = doc.Bytes()
			}
		}
		if len(documents) == 0 {
			reply(c.w, http.StatusOK, body{"message": none}) // no data: clients take null for some
			return nil
		}
		if roles := slices.Collect(maps.Keys(documents)); len(roles) == 1 {
			c.w.Header().Set("ETag", `"`+digest(r.drafts[roles[0]])+`"`)
		}
		trusted, err := r.trusted(documents)
		if err != nil {
			return err
		}
		maps.Copy(documents, trusted)
		reply(c.w, http.StatusOK, body{"data": body{"metadata": documents}, "message": "Metadata role(s) pending signing"})
		return nil
	})
}

// trustedPrefix begins the names of what pending documents are verified against; clients find it beside them.
const trustedPrefix = "trusted_"

// trusted returns what signers verify the pending documents against.
func (r *repository) trusted(documents map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if r.root == nil {
		return all, nil
	}
	var unpublished []delegation
	for role := range documents {
		if role == trust.RoleRoot {
			all[trustedPrefix+trust.RoleRoot] = r.state.Root
		} else if d := r.state.Pending[role].Delegation; d != nil {
			unpublished = append(unpublished, *d)
		}
	}
	if len(documents) == len(all) {
		return all, nil
	}
	top, err := r.topWith(unpublished)
	all[trustedPrefix+trust.RoleTargets] = top
	return all, err
}

// topWith returns targets as it is, or as it will be with the delegations whose roles are not published yet.
func (r *repository) topWith(unpublished []delegation) ([]byte, error) {
	if len(unpublished) == 0 {
		return r.edition.targets.Bytes(), nil
	}
	list := r.state.Settings.Delegated
	for _, d := range unpublished {
		list = withDelegation(list, d)
	}
	spec := r.edition.targets.Spec()
	spec.Version++
	var err error
	if spec.Delegated, spec.Names, err = delegatedBy(r.root, list); err != nil {
		return nil, err
	}
	top, err := trust.NewTargets(spec)
	if err != nil {
		return nil, err
	}
	return top.Bytes(), nil
}

func postSign(c *call) error {
	if err := c.object("role", "signature"); err != nil {
		return err
	}
	var role string
	var sig struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	if err := decode(c.member["role"], &role, "body", "role"); err != nil {
		return err
	}
	if err := decode(c.member["signature"], &sig, "body", "signature"); err != nil {
		return err
	}
	signature, hexErr := hex.DecodeString(sig.Sig)
	if err := c.spend(); err != nil { // before anybody else's turn takes it along
		return err
	}
	var q *signRequest
	if r, err := c.s.repository(c.ctx, c.name, false); err == nil && hexErr == nil {
		q = r.enqueue(role, trust.Signature{KeyID: sig.KeyID, Sig: signature}, "", c.by)
	}
	return c.with(func(r *repository) error {
		if phase := r.state.phase(); phase == phaseNone && (q == nil || !q.settled) {
			return refuse(http.StatusNotFound, "No signing pending.", "Requires bootstrap in signing state. State: "+phase)
		}
		return c.submit(r, job{
			task: "sign_metadata", accepted: "Metadata sign accepted.", done: "Signature Processed", failed: "Signature Failed",
			work: func(r *repository, _ string) (outcome, error) {
				if q == nil {
					return outcome{}, ipc.Errorf(ipc.BadRequest, "Invalid signature")
				}
				return r.settle(c.ctx, q)
			},
			details: signDetails,
		})
	})
}

func signDetails(out outcome) map[string]any {
	pending := fmt.Sprintf("%s v%d is pending signatures", title(out.role), out.version)
	switch {
	case out.bootstrap && out.complete:
		return map[string]any{"bootstrap": "Bootstrap Finished"}
	case out.bootstrap:
		return map[string]any{"bootstrap": pending}
	case out.complete:
		return map[string]any{"update": "Metadata update finished"}
	}
	return map[string]any{"update": pending}
}

// notSigning is how the API says that nothing of a role is pending (rule P2).
func notSigning(role string) error {
	return refuse(http.StatusNotFound, "No signing process for "+role+".", "The "+role+" role is not in a signing process.")
}

// patchSign replaces what is pending. Unlike the other endpoints, which do as Repository Service for TUF does, it says at
// once what is wrong: nobody's client knows it otherwise.
func patchSign(c *call) error {
	if err := c.object("metadata"); err != nil {
		return err
	}
	var documents map[string]json.RawMessage
	if err := decode(c.member["metadata"], &documents, "body", "metadata"); err != nil {
		return err
	}
	if len(documents) != 1 {
		return invalid("value_error", "Value error, metadata of exactly one role", "body", "metadata")
	}
	role := slices.Collect(maps.Keys(documents))[0]
	return c.with(func(r *repository) error {
		doc, _, err := r.draft(role)
		if err != nil {
			return notSigning(role)
		}
		if match := matchOf(c.q); match != "" && match != digest(doc) {
			c.w.Header().Set("ETag", `"`+digest(doc)+`"`)
			return refuse(http.StatusPreconditionFailed, "Task not accepted.", "The pending metadata was replaced meanwhile.")
		}
		var refused error
		err = c.submit(r, job{
			task: "metadata_update", accepted: "Metadata sign override accepted.", done: "Metadata Update Processed", failed: "Metadata Update Failed",
			work: func(r *repository, task string) (outcome, error) {
				out, err := r.override(c.ctx, role, documents[role], "", task, c.by)
				if code := ipc.CodeOf(err); err != nil && (code == ipc.BadRequest || code == ipc.AlreadyExists) {
					refused = err
				}
				return out, err
			},
			refuses: func() error { return overrideRefused(refused) },
			details: updateDetails,
		})
		return err
	})
}

func overrideRefused(err error) error {
	switch {
	case err == nil:
		return nil
	case ipc.CodeOf(err) == ipc.AlreadyExists: // rule P3
		return refuse(http.StatusConflict, "Task not accepted.", err.Error())
	}
	return refuse(http.StatusUnprocessableEntity, "Task not accepted.", err.Error())
}

func deleteSign(c *call) error {
	if err := c.object("role"); err != nil {
		return err
	}
	var role string
	if err := decode(c.member["role"], &role, "body", "role"); err != nil {
		return err
	}
	return c.with(func(r *repository) error {
		doc := r.drafts[role]
		if doc == nil {
			return notSigning(role)
		}
		if match := matchOf(c.q); match != "" && match != digest(doc) {
			return refuse(http.StatusPreconditionFailed, "Task not accepted.", "The pending metadata was replaced meanwhile.")
		}
		return c.submit(r, job{
			task: "delete_sign_metadata", accepted: "Metadata sign delete accepted.",
			done: "Deletion of " + role + " metadata successful, signing process stopped", failed: "Metadata sign delete failed",
			work: func(r *repository, _ string) (outcome, error) { return r.cancel(role, "", c.by) },
			details: func(out outcome) map[string]any {
				if out.bootstrap {
					return map[string]any{"bootstrap": "Bootstrap process has been stopped"}
				}
				return nil
			},
		})
	})
}
