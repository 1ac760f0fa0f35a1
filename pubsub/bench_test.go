package pubsub_test

import (
	"fmt"
	"testing"

	"github.com/lnk-suite/lnk/pubsub"
	"github.com/lnk-suite/lnk/pubsub/busd"
	"github.com/lnk-suite/lnk/pubsub/busd/busdtest"
)

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bus := busdtest.Start(b, busd.Config{})
			c := pubsub.NewClient(bus.Socket, "bench")
			defer c.Close()
			msgs := make([]pubsub.Message, n)
			for i := range msgs {
				msgs[i] = pubsub.Message{Topic: updated, Schema: "git.updated/1", Data: make([]byte, 120)}
			}
			for b.Loop() {
				if _, err := c.Publish(b.Context(), msgs...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
