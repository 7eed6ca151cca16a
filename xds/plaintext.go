package xds

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
)

// plainInfo is what a stream in plain text is told of its connection.
type plainInfo struct {
	credentials.CommonAuthInfo

	intake *intake
}

// AuthType is for grpc.
func (plainInfo) AuthType() string { return "insecure" }

// plain are the credentials of plain text, with an intake.
type plain struct {
	credentials.TransportCredentials

	server *Server
}

func newPlain(s *Server) plain {
	return plain{TransportCredentials: insecure.NewCredentials(), server: s}
}

// Clone is for grpc.
func (p plain) Clone() credentials.TransportCredentials { return p }

// ServerHandshake is for grpc.
func (p plain) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	exit, err := p.server.enter(raw.RemoteAddr())
	if err != nil {
		return nil, nil, err
	}
	in := p.server.newIntake(raw, client{address: hostOf(raw.RemoteAddr())}, exit)
	return asReady(in), plainInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, intake: in}, nil
}

// intakeOf is the intake of a stream's connection, or nil.
func intakeOf(ctx context.Context) *intake {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	switch info := p.AuthInfo.(type) {
	case plainInfo:
		return info.intake
	case clientInfo:
		return info.intake
	}
	return nil
}
