package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/cli/doctor"
	"github.com/runway-platform/runway/cli/doctor/doctortest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// caUntil is a cluster's certificate that ends at a time.
func caUntil(t *testing.T, ends time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "runway"}, NotBefore: ends.AddDate(-1, 0, 0), NotAfter: ends, IsCA: true, BasicConstraintsValid: true}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encoded}))
}

// doctorRun looks at a cluster of the client's version with a CA of a year.
func doctorRun(t *testing.T, part string) *run {
	t.Helper()
	f := fullCluster()
	f.Cluster.Version = "v1.2.0"
	return &run{
		fake: f, args: "doctor " + part, env: map[string]string{"RUNWAY_CA": "DIR/ca.crt"},
		dir: folder(t, map[string]string{"ca.crt": caUntil(t, clitest.Now.AddDate(1, 0, 0)), "old.crt": caUntil(t, clitest.Now.AddDate(0, 0, 10)), "gone.crt": caUntil(t, clitest.Now.AddDate(0, 0, -10)), "empty.crt": "nothing"}),
	}
}

func TestDoctor_Golden(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(r *run){
		"doctor_well":      func(*run) {},
		"doctor_well_json": func(r *run) { r.args += " client -o json" },
		"doctor_bad_part":  func(r *run) { r.args += " ingress" },
		"doctor_unreachable": func(r *run) {
			r.args += " client"
			r.fake.Refuse = map[string]error{"Info": clitest.Refusal(codes.Unavailable, &runwayv1.Cause{Code: string(code.Unreachable), Summary: "connection refused"})}
		},
		"doctor_denied": func(r *run) {
			r.args += " client"
			r.fake.Refuse = map[string]error{"Info": clitest.Refusal(codes.Unauthenticated, &runwayv1.Cause{Code: string(code.TokenExpired), Summary: "the token has expired", Fix: code.TokenExpired.Fix()})}
		},
		"doctor_machine": func(r *run) {
			m := doctortest.Healthy()
			m.Says["runc --version"] = "runc version 1.1.5+ds1\n"
			delete(m.Says, "nft --version")
			delete(m.Says, "nft list tables")
			delete(m.Files, "usr/lib/cni/bridge")
			machine := m.Machine()
			r.args, r.machine = "doctor machine", &machine
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := doctorRun(t, "")
			spoil(r)
			r.golden(t, name)
		})
	}
}

// Each thing that is wrong between here and the cluster is one finding.
func TestDoctor_FindsWhatIsWrongOnTheWay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(r *run)
		check string
		state doctor.State
		code  code.Code
		exit  int
	}{
		{"no cluster", func(r *run) { r.env = map[string]string{"RUNWAY_ADDRESS": "", "RUNWAY_CA": ""} }, "configuration", doctor.Failure, code.Usage, exitUsage},
		{"no CA", func(r *run) { r.env["RUNWAY_CA"] = "DIR/none.crt" }, "CA", doctor.Failure, code.WrongCA, exitDenied},
		{"a CA that is none", func(r *run) { r.env["RUNWAY_CA"] = "DIR/empty.crt" }, "CA", doctor.Failure, code.WrongCA, exitDenied},
		{"a CA that ends soon", func(r *run) { r.env["RUNWAY_CA"] = "DIR/old.crt" }, "CA", doctor.Warning, code.CredentialEnds, exitDone},
		{"a CA that ended", func(r *run) { r.env["RUNWAY_CA"] = "DIR/gone.crt" }, "CA", doctor.Failure, code.CredentialEnds, exitDenied},
		{"a token that ends soon", func(r *run) { r.expires = clitest.Now.Add(time.Hour) }, "token", doctor.Warning, code.CredentialEnds, exitDone},
		{"no leader", func(r *run) { r.fake.Cluster.Leader = "" }, "leader", doctor.Failure, code.NoLeader, exitUnreachable},
		{"a clock that is behind", clock(time.Minute), "clock", doctor.Warning, code.ClocksDiffer, exitDone},
		{"a clock that is ahead", clock(-time.Minute), "clock", doctor.Warning, code.ClocksDiffer, exitDone},
		{"a cluster that tells no time", func(r *run) { r.fake.Cluster.Now = nil }, "clock", doctor.Warning, code.VersionsDiffer, exitDone},
		{"a cluster of another line", func(r *run) { r.fake.Cluster.Version = "v1.3.0" }, "version", doctor.Warning, code.VersionsDiffer, exitDone},
		{"a cluster that is no release", func(r *run) { r.fake.Cluster.Version = "v1.2.4-0.20260101000000-abcdef" }, "version", doctor.Warning, code.VersionsDiffer, exitDone},
		{"nothing, the clocks differ a little", clock(clockTolerance), "clock", doctor.Good, "", exitDone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := doctorRun(t, "client -o json")
			test.spoil(r)
			o := r.do(t)
			o.checkLastLine(t)
			if o.exit != test.exit {
				t.Errorf("exit %d, want %d: %s", o.exit, test.exit, o.stderr)
			}
			checkFindings(t, o.stdout, test.check, test.state, test.code)
		})
	}
}

// checkFindings wants one finding as it is told, and all others good.
func checkFindings(t *testing.T, document, check string, state doctor.State, c code.Code) {
	t.Helper()
	var e examination
	decode(t, document, &e)
	found := false
	for _, f := range e.Findings {
		found = found || f.Check == check
		if f.Check != check && f.State != doctor.Good {
			t.Errorf("also found %+v", f)
		}
		if f.Check == check && (f.State != state || f.Code != c || (f.Fix == "") != (state == doctor.Good)) {
			t.Errorf("found %+v, want %s %s", f, state, c)
		}
	}
	if !found {
		t.Errorf("nothing was found about %s: %+v", check, e.Findings)
	}
}

// What lies behind something that is broken is not looked at.
func TestDoctor_LooksNotBehindABrokenCA(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"none.crt", "empty.crt", "gone.crt"} {
		r := doctorRun(t, "client -o json")
		r.env["RUNWAY_CA"] = "DIR/" + file
		var e examination
		decode(t, r.do(t).stdout, &e)
		if last := e.Findings[len(e.Findings)-1]; last.Check != "CA" || last.State != doctor.Failure {
			t.Errorf("%s: the last finding is %+v", file, last)
		}
		if asked := r.fake.Requests("Info"); len(asked) > 0 || len(r.dialled.Addresses) > 0 {
			t.Errorf("%s: the cluster was asked: %v", file, asked)
		}
	}
}

func TestDoctor_WarnsOnceOfAnExposedFile(t *testing.T) {
	t.Parallel()
	r := doctorRun(t, "client --config DIR/one.yml")
	path := filepath.Join(r.dir, "one.yml")
	if err := os.WriteFile(path, []byte("address: one:7443\nca: ca.crt\ntoken: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	o := r.do(t)
	if want := "warning: others can read DIR/one.yml, which may hold a token; run chmod 600 on it\n"; o.exit != 0 || o.stderr != want {
		t.Errorf("exit %d, stderr %q, want %q", o.exit, o.stderr, want)
	}
}

func clock(ahead time.Duration) func(r *run) {
	return func(r *run) { r.fake.Cluster.Now = timestamppb.New(clitest.Now.Add(ahead)) }
}

func decode(t *testing.T, document string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(document), into); err != nil {
		t.Fatalf("decode %q: %v", document, err)
	}
}
