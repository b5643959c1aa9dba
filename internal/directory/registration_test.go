package directory

import (
	"testing"
	"time"
)

func TestLivesOfAccessTokens(t *testing.T) {
	t.Parallel()
	for d, ok := range map[time.Duration]bool{0: true, 10 * time.Minute: true, time.Hour: true, time.Minute: false, 61 * time.Minute: false, -time.Hour: false} {
		if err := tokenLife(d, false); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
	for d, ok := range map[time.Duration]bool{time.Minute: false, 28 * time.Hour: true, 28*time.Hour + 1: false} {
		if err := tokenLife(d, true); (err == nil) != ok {
			t.Errorf("guarded, %v: %v", d, err)
		}
	}
}
