package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestBearer_HashAndMatch(t *testing.T) {
	t.Parallel()
	token, err := NewBearer()
	if err != nil {
		t.Fatal(err)
	}
	if !IsBearer(token) || !Matches(token, Hash(token)) {
		t.Error("a fresh token is refused")
	}
	if Matches(token+"0", Hash(token)) || Matches("", Hash(token)) || Matches(token, nil) {
		t.Error("another token is accepted")
	}
	for _, bad := range []string{"", "rwt_", "rwt_xyz", strings.ToUpper(token), "rwj_" + token[4:], token + "00"} {
		if IsBearer(bad) {
			t.Errorf("IsBearer(%q) = true", bad)
		}
	}
}

func TestJoinToken_RoundTrip(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	for _, role := range []runwayv1.Role{runwayv1.Role_ROLE_NODE, runwayv1.Role_ROLE_INGRESS, runwayv1.Role_ROLE_COORDINATOR} {
		token, err := authority.NewJoinToken(role)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParseJoinToken(token.Text())
		if err != nil || parsed != token {
			t.Errorf("ParseJoinToken = %v, %v; want %v", parsed, err, token)
		}
		if parsed.Pin != authority.Pin() {
			t.Error("the pin is not the authority's")
		}
	}
	if _, err := authority.NewJoinToken(runwayv1.Role_ROLE_DEPLOYER); !errors.Is(err, ErrToken) {
		t.Errorf("join token for a person: %v", err)
	}
}

func TestParseJoinToken_NeverRepeatsTheText(t *testing.T) {
	t.Parallel()
	token, err := newTestAuthority(t, "c1").NewJoinToken(runwayv1.Role_ROLE_NODE)
	if err != nil {
		t.Fatal(err)
	}
	text := token.Text()
	for _, bad := range []string{
		"", "rwj", "rwt" + text[3:], text[:len(text)-1], text + "_x",
		strings.Replace(text, "_node_", "_admin_", 1), strings.ToUpper(text),
		strings.Replace(text, token.Secret, "short", 1),
	} {
		_, err := ParseJoinToken(bad)
		if !errors.Is(err, ErrToken) {
			t.Errorf("ParseJoinToken(%q) = %v, want ErrToken", bad, err)
			continue
		}
		if len(bad) > 8 && strings.Contains(err.Error(), bad) {
			t.Errorf("error repeats the token: %v", err)
		}
	}
}

func TestJoinToken_PrintsNoSecret(t *testing.T) {
	t.Parallel()
	token, err := newTestAuthority(t, "c1").NewJoinToken(runwayv1.Role_ROLE_NODE)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, token); strings.Contains(got, token.Secret) {
			t.Errorf("%s shows the secret: %s", format, got)
		}
	}
}
