package fleet

import (
	"context"
	"sync"

	"google.golang.org/grpc"
)

// lines is how many connections a Turnover has, with one stream each at a time.
const lines = 8

// Turnover opens and closes streams.
type Turnover struct {
	names []string
	conns []*grpc.ClientConn
}

// NewTurnover connects to a server.
func NewTurnover(address string, names []string) (*Turnover, error) {
	t := &Turnover{names: names}
	for range lines {
		conn, err := Dial(address, window)
		if err != nil {
			t.Close()
			return nil, err
		}
		t.conns = append(t.conns, conn)
	}
	return t, nil
}

// Run opens count streams in all, each of which is closed once it has been answered.
func (t *Turnover) Run(ctx context.Context, count int) error {
	var group sync.WaitGroup
	errs := make(chan error, lines)
	for line, conn := range t.conns {
		group.Go(func() {
			for i := line; i < count; i += lines {
				if err := t.once(ctx, conn, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (t *Turnover) once(ctx context.Context, conn *grpc.ClientConn, number int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, conn, number, delta{names: t.names})
	if err != nil {
		return err
	}
	var m []byte
	return stream.RecvMsg(&m)
}

// Close ends the connections.
func (t *Turnover) Close() {
	for _, conn := range t.conns {
		_ = conn.Close()
	}
}
