package main

import (
	"context"
	"net"
	"net/rpc"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Echo is the net/rpc service.
type Echo struct{}

// Call answers with what it got.
func (Echo) Call(in []byte, out *[]byte) error { *out = in; return nil }

func serveNetRPC(l net.Listener) error {
	s := rpc.NewServer()
	if err := s.Register(Echo{}); err != nil {
		return err
	}
	s.Accept(l)
	return nil
}

type netRPCConn struct{ *rpc.Client }

func dialNetRPC(path string) (caller, error) {
	c, err := rpc.Dial("unix", path)
	return netRPCConn{c}, err
}

func (c netRPCConn) Echo(payload []byte) error {
	var out []byte
	return c.Call("Echo.Call", payload, &out)
}

func serveTTRPC(l net.Listener) error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.Register("Echo", map[string]ttrpc.Method{
		"Call": func(_ context.Context, unmarshal func(any) error) (any, error) {
			in := &wrapperspb.BytesValue{}
			return in, unmarshal(in)
		},
	})
	return s.Serve(context.Background(), l)
}

type ttrpcConn struct{ *ttrpc.Client }

func dialTTRPC(path string) (caller, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return ttrpcConn{ttrpc.NewClient(c)}, nil
}

func (c ttrpcConn) Echo(payload []byte) error {
	return c.Call(context.Background(), "Echo", "Call", wrapperspb.Bytes(payload), &wrapperspb.BytesValue{})
}

func serveGRPC(l net.Listener) error {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(4 << 20))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: echoGRPC}},
	}, Echo{})
	return s.Serve(l)
}

func echoGRPC(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := &wrapperspb.BytesValue{}
	return in, decode(in)
}

type grpcConn struct{ *grpc.ClientConn }

func dialGRPC(path string) (caller, error) {
	c, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return grpcConn{c}, err
}

func (c grpcConn) Echo(payload []byte) error {
	return c.Invoke(context.Background(), "/Echo/Call", wrapperspb.Bytes(payload), &wrapperspb.BytesValue{})
}
