package trustd

import (
	"net/http"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

func postArtifacts(c *call) error {
	if err := c.object("artifacts"); err != nil {
		return err
	}
	var artifacts []struct {
		Path string        `json:"path"`
		Info *trust.Target `json:"info"`
	}
	if err := decode(c.member["artifacts"], &artifacts, "body", "artifacts"); err != nil {
		return err
	}
	delete(c.member, "artifacts") // it may be large
	names := []string{}
	request := artifactsRequest{add: map[string]trust.Target{}}
	for _, a := range artifacts {
		if a.Path == "" || a.Info == nil {
			return invalid("missing", "Field required", "body", "artifacts", "info")
		}
		names, request.add[a.Path] = append(names, a.Path), *a.Info
	}
	stage, withID, err := c.flags()
	if err != nil {
		return err
	}
	request.stage = stage
	message := "New Artifact(s) successfully submitted."
	if stage {
		message += " Publishing will be skipped."
	}
	return c.artifacts(names, message, job{
		task: "add_artifacts", done: "Artifact(s) Added", failed: "Adding artifact(s) Failed",
		work: func(r *repository, task string) (outcome, error) {
			for path, info := range request.add {
				if withID {
					custom, err := withTask(info.Custom, task)
					if err != nil {
						return outcome{}, err
					}
					info.Custom = custom
					request.add[path] = info
				}
			}
			return r.artifacts(c.ctx, request, c.by)
		},
		details: func(out outcome) map[string]any {
			return map[string]any{"added_artifacts": list(out.done), "invalid_paths": list(out.refused)}
		},
	})
}

// flags reads what to do besides: only stage, and whether to note the task in each artifact.
func (c *call) flags() (stage, withID bool, err error) {
	publish := true
	for name, value := range map[string]*bool{"publish_artifacts": &publish, "add_task_id_to_custom": &withID} {
		if len(c.member[name]) > 0 {
			if err := decode(c.member[name], value, "body", name); err != nil {
				return false, false, err
			}
		}
	}
	return !publish, withID, nil
}

func (c *call) artifacts(names []string, message string, j job) error {
	return c.with(func(r *repository) error {
		if err := c.needsFinished(r, "It requires bootstrap finished. State: "); err != nil {
			return err
		}
		j.accepted, j.extra = message, body{"artifacts": names}
		return c.submit(r, j)
	})
}

func deleteArtifacts(c *call) error {
	if err := c.object("artifacts"); err != nil {
		return err
	}
	var names []string
	if err := decode(c.member["artifacts"], &names, "body", "artifacts"); err != nil {
		return err
	}
	stage, _, err := c.flags()
	if err != nil {
		return err
	}
	message := "Remove Artifact(s) successfully submitted."
	if stage {
		message += " Publishing will be skipped."
	}
	return c.artifacts(list(names), message, job{
		task: "remove_artifacts", done: "Artifact(s) removed", failed: "Removing artifact(s) Failed",
		work: func(r *repository, _ string) (outcome, error) {
			return r.artifacts(c.ctx, artifactsRequest{remove: names, stage: stage}, c.by)
		},
		details: func(out outcome) map[string]any {
			return map[string]any{"deleted_artifacts": list(out.done), "not_found_artifacts": list(out.refused)}
		},
	})
}

func publishArtifacts(c *call) error {
	return c.with(func(r *repository) error {
		return c.submit(r, job{
			task: "publish_artifacts", accepted: "Publish artifacts successfully submitted.", done: "Publish artifacts Processed", failed: "Publish artifacts Failed",
			work:    func(r *repository, _ string) (outcome, error) { return r.publishStaged(c.ctx, c.by) },
			details: func(out outcome) map[string]any { return map[string]any{"published_roles": list(out.done)} },
		})
	})
}

// needsDelegations is answered with 200 by Repository Service for TUF, unlike its other endpoints.
func (c *call) needsDelegations(r *repository) error {
	if r.state.phase() == phaseFinished {
		return nil
	}
	return refuse(http.StatusOK, "Task not accepted.", "Requires bootstrap finished. State: "+r.state.phase())
}

func postDelegations(c *call) error {
	if err := c.object("delegations"); err != nil {
		return err
	}
	var in apiDelegations
	if err := decode(c.member["delegations"], &in, "body", "delegations"); err != nil {
		return err
	}
	roles, days, err := in.read()
	if err != nil {
		return err
	}
	accepted := "Metadata delegation add accepted."
	if c.q.Method == http.MethodPut {
		accepted = "Metadata delegation update accepted."
	}
	return c.with(func(r *repository) error {
		if err := c.needsDelegations(r); err != nil {
			return err
		}
		return c.submit(r, job{
			task: "metadata_delegation", accepted: accepted, done: "Metadata Delegation Processed", failed: "Metadata Delegation Failed",
			work: func(r *repository, _ string) (outcome, error) {
				return r.delegate(c.ctx, online(roles, onlineKey(r.root)), days, moment(nil), c.by)
			},
			details: delegationDetails,
		})
	})
}

func delegationDetails(out outcome) map[string]any {
	return map[string]any{"delegated_roles": list(out.done), "failed_roles": list(out.refused)}
}

func deleteDelegations(c *call) error {
	if err := c.object("delegations"); err != nil {
		return err
	}
	var in struct {
		Roles []struct {
			Name string `json:"name"`
		} `json:"roles"`
	}
	if err := decode(c.member["delegations"], &in, "body", "delegations"); err != nil {
		return err
	}
	var names []string
	for _, role := range in.Roles {
		names = append(names, role.Name)
	}
	return c.with(func(r *repository) error {
		if err := c.needsDelegations(r); err != nil {
			return err
		}
		return c.submit(r, job{
			task: "metadata_delegation", accepted: "Metadata delegation delete accepted.", done: "Metadata Delegation Processed", failed: "Metadata Delegation Failed",
			work: func(r *repository, _ string) (outcome, error) {
				if len(names) == 0 {
					return outcome{}, ipc.Errorf(ipc.BadRequest, "No role provided for deletion.")
				}
				return r.undelegate(c.ctx, names, c.by)
			},
			details: delegationDetails,
		})
	})
}
