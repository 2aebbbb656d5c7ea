package probe

import (
	"context"
	"fmt"
)

func (p *Prober) askTCP(ctx context.Context, address string, result *Result) error {
	result.Asked = "connect tcp " + address
	conn, err := p.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close connection: %w", err)
	}
	result.Status = "connected"
	result.Passed = true
	return nil
}
