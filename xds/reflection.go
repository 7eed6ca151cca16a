package xds

import (
	"strings"

	"google.golang.org/grpc"
)

// reflectionPrefix begins the methods that tell tools such as grpcurl which services and messages there are.
const reflectionPrefix = "/grpc.reflection."

// guardReflection keeps reflection to operators: a call of theirs costs more than it says, and Envoys need none.
func (s *Server) guardReflection(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, reflectionPrefix) {
		if err := s.AuthorizeOperator(stream.Context()); err != nil {
			return err
		}
	}
	return next(server, stream)
}
