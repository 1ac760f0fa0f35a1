package trust

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/ipc"
)

// SnapshotSpec is what snapshot metadata says: which version of targets and of every role below it is the current one.
type SnapshotSpec struct {
	Version  int64
	Expires  time.Time        // kept to the second
	Versions map[string]int64 // by role name
}

// TimestampSpec is what timestamp metadata says: which snapshot is the current one.
type TimestampSpec struct {
	Version  int64
	Expires  time.Time // kept to the second
	Snapshot int64
}

// NewSnapshot returns unsigned snapshot metadata. With many hash bins it is large, so it is written in canonical form
// at once.
func NewSnapshot(spec SnapshotSpec) (*File, error) {
	for name := range spec.Versions {
		if name == RoleTargets {
			continue
		}
		if err := CheckRoleName(name); err != nil {
			return nil, fmt.Errorf("cannot make snapshot metadata: %w", err)
		}
	}
	return newVersions(RoleSnapshot, spec.Version, spec.Expires, spec.Versions)
}

// NewTimestamp returns unsigned timestamp metadata.
func NewTimestamp(spec TimestampSpec) (*File, error) {
	return newVersions(RoleTimestamp, spec.Version, spec.Expires, map[string]int64{RoleSnapshot: spec.Snapshot})
}

func newVersions(kind string, version int64, expires time.Time, versions map[string]int64) (*File, error) {
	// The order of file names, not of role names: "a-0.json" comes before "a.json".
	names := slices.Collect(maps.Keys(versions))
	for i, name := range names {
		names[i] = name + ".json"
	}
	slices.Sort(names)
	out := fmt.Appendf(nil, `{"_type":%q,"expires":%q,"meta":{`, kind, stamp(expires))
	for i, name := range names {
		v := versions[name[:len(name)-len(".json")]]
		if v < 1 {
			return nil, fmt.Errorf("cannot make %s metadata: %s has version %d", kind, name, v)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), `":{"version":`...)
		out = append(strconv.AppendInt(out, v, 10), '}')
	}
	out = fmt.Appendf(out, `},"spec_version":%q,"version":%d}`, metadata.SPECIFICATION_VERSION, version)
	return newFile(kind, out, version, expires.UTC().Truncate(time.Second))
}

// ParseSnapshot reads snapshot metadata that this suite has published. Errors have code ipc.Corrupt.
func ParseSnapshot(data []byte) (SnapshotSpec, error) {
	f, versions, err := parseVersions(data, RoleSnapshot)
	if err != nil {
		return SnapshotSpec{}, ipc.Errorf(ipc.Corrupt, "snapshot metadata: %w", err)
	}
	return SnapshotSpec{f.version, f.expires, versions}, nil
}

// ParseTimestamp reads timestamp metadata that this suite has published. Errors have code ipc.Corrupt.
func ParseTimestamp(data []byte) (TimestampSpec, error) {
	f, versions, err := parseVersions(data, RoleTimestamp)
	if err != nil {
		return TimestampSpec{}, ipc.Errorf(ipc.Corrupt, "timestamp metadata: %w", err)
	}
	return TimestampSpec{f.version, f.expires, versions[RoleSnapshot]}, nil
}

func parseVersions(data []byte, kind string) (*File, map[string]int64, error) {
	f, meta, err := readFile(data, kind)
	if err != nil {
		return nil, nil, err
	}
	versions := make(map[string]int64, len(meta))
	for name, m := range meta {
		role, ok := strings.CutSuffix(name, ".json")
		if !ok || m.Version < 1 {
			return nil, nil, fmt.Errorf("bad entry for %.80q", name)
		}
		versions[role] = m.Version
	}
	return f, versions, nil
}

// unhex decodes what CheckTarget has admitted.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
