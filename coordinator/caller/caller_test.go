package caller

import (
	"context"
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestSees(t *testing.T) {
	t.Parallel()
	limited := Caller{Role: runwayv1.Role_ROLE_DEPLOYER, Spaces: []string{"pay"}}
	tests := []struct {
		name   string
		caller Caller
		space  string
		want   bool
	}{
		{"own space", limited, "pay", true},
		{"longer name", limited, "payments", false},
		{"shorter name", limited, "pa", false},
		{"other case", limited, "Pay", false},
		{"look-alike", limited, "pаy", false},
		{"no space", limited, "", false},
		{"all spaces", Caller{Role: runwayv1.Role_ROLE_OPERATOR}, "pay", true},
		{"space role without spaces", Caller{Role: runwayv1.Role_ROLE_SPACE_ADMIN}, "pay", false},
		{"cluster role limited to a space", Caller{Role: runwayv1.Role_ROLE_OPERATOR, Spaces: []string{"pay"}}, "other", false},
		{"nobody", Caller{}, "pay", false},
	}
	for _, tt := range tests {
		if got := tt.caller.Sees(tt.space); got != tt.want {
			t.Errorf("%s: Sees(%q) = %v, want %v", tt.name, tt.space, got, tt.want)
		}
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	if got := From(context.Background()); got.Role != runwayv1.Role_ROLE_UNSPECIFIED || got.ID != "" {
		t.Errorf("From without a caller = %+v", got)
	}
	if got := From(With(context.Background(), Caller{ID: "t1"})); got.ID != "t1" {
		t.Errorf("From = %+v", got)
	}
}
