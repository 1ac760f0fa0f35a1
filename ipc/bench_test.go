package ipc

import (
	"context"
	"testing"
)

func BenchmarkUnary(b *testing.B) {
	c := testClient(b, serve(b, &Server{Mux: testMux()}))
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := echo.Call(context.Background(), c, payload); err != nil {
			b.Fatal(err)
		}
	}
}
