package pubsub

import (
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

const (
	maxTopic   = 255 // bytes of a topic or pattern
	topicParts = 4   // rad, peer, service, event; an event's name may have several parts
	topicRoot  = "rad"
)

// Topic returns the topic of an event of one of id's services: Topic(id, "git", "updated") is rad.<peer>.git.updated.
func Topic(id peer.ID, service, event string) string {
	return strings.Join([]string{topicRoot, string(id), service, event}, ".")
}

// CheckTopic tells whether something can be published on topic: an ipc.BadRequest error says why not.
func CheckTopic(topic string) error {
	parts, err := split(topic)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if !isPart(part) {
			return badTopic(topic, "each part consists of letters, digits, - and _")
		}
	}
	if len(parts) < topicParts {
		return badTopic(topic, "it needs four parts at least")
	}
	return nil
}

// CheckPattern tells whether pattern can be subscribed to: an ipc.BadRequest error says why not.
func CheckPattern(pattern string) error {
	parts, err := split(pattern)
	if err != nil {
		return err
	}
	for i, part := range parts {
		last := i == len(parts)-1
		if !isPart(part) && part != "*" && (part != ">" || !last) {
			return badTopic(pattern, "each part is a word, * for any one part, or > at the end for all that follow")
		}
	}
	if len(parts) == 1 {
		return badTopic(pattern, "it needs two parts at least")
	}
	return nil
}

func split(topic string) ([]string, error) {
	if len(topic) > maxTopic {
		return nil, ipc.Errorf(ipc.BadRequest, "topic of %d bytes is longer than %d", len(topic), maxTopic)
	}
	parts := strings.Split(topic, ".")
	if parts[0] != topicRoot {
		return nil, badTopic(topic, "it does not begin with rad.")
	}
	return parts, nil
}

func badTopic(topic, reason string) error {
	return ipc.Errorf(ipc.BadRequest, "bad topic %q: %s", topic, reason).WithHint("for example rad.<peer>.script.built, or the pattern rad.*.git.>")
}

// isPart keeps to the characters that mean the same to NATS, file systems and shells.
func isPart(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return s != ""
}
