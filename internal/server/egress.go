package server

import (
	"context"
	"fmt"
	"net/http"
)

// fetchKeys gets the JWK set that an application publishes.
func (s *Server) fetchKeys(ctx context.Context, url string) ([]byte, error) {
	a, err := s.egress.Get(ctx, url, http.Header{"Accept": {"application/jwk-set+json, application/json"}})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("the server with the keys answered %d", a.Status)
	}
	return a.Body, nil
}
