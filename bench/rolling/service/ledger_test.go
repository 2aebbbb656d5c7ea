package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A request that must not be executed twice is refused the second time; others are not.
func TestHandler_ExecutesOnce(t *testing.T) {
	t.Parallel()
	answer := handler("svc/7")
	for _, ask := range []struct {
		path string
		want int
	}{
		{"/?once=a", http.StatusOK},
		{"/?once=b", http.StatusOK},
		{"/?once=a", http.StatusConflict},
		{"/", http.StatusOK},
		{"/", http.StatusOK},
	} {
		w := httptest.NewRecorder()
		answer(w, httptest.NewRequest(http.MethodPost, ask.path, nil))
		if w.Code != ask.want {
			t.Errorf("%s: %d, want %d", ask.path, w.Code, ask.want)
		}
	}
}
