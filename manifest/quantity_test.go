package manifest

import (
	"math/big"
	"testing"

	"github.com/runway-platform/runway/proto/defaults"

	"pgregory.net/rapid"
)

func TestParseCPU_Forms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1000, "2": 2000, "1000m": 1000, "0.5": 500, "0.01": 10, "10m": 10, "1.25": 1250, "4096": 4096000,
	} {
		if got, err := parseCPU(text); err != nil || got != want {
			t.Errorf("parseCPU(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range badQuantities("m") {
		if got, err := parseCPU(text); err == nil {
			t.Errorf("parseCPU(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseMemory_Forms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"512Mi": 512 << 20, "2G": 2e9, "1.5Gi": 3 << 29, "6Mi": 6 << 20, "64Ti": 64 << 40, "10000000": 1e7, "10000k": 1e7, "0.5G": 5e8,
	} {
		if got, err := parseMemory(text); err != nil || got != want {
			t.Errorf("parseMemory(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range append(badQuantities("Mi"), "512", "512m", "512MB", "1K", "65Ti", "18446744073709551616", "999999999999999999Ti", "17592186044416Mi", "10000000.5") {
		if got, err := parseMemory(text); err == nil {
			t.Errorf("parseMemory(%q) = %d, want an error", text, got)
		}
	}
}

// badQuantities are wrong for every quantity; unit is one that is allowed.
func badQuantities(unit string) []string {
	bad := []string{
		"", " ", "0", "-1", "+1", "1e400", "1e3", "NaN", "nan", "Inf", ".5", "5.", "0x10", "0o7", "01", "1.5.5", "1_000", "1,5",
		"٣", "1 000", "8X", "m", "1.0000", "99999999999999999999", "1\n", "1\x00",
	}
	for _, text := range []string{"-1", "0", "1e400", "500 ", "0x10", " 500", "500\n"} {
		bad = append(bad, text+unit)
	}
	return bad
}

// A size that is accepted is exactly what it says, never wrapped around.
func TestParseMemory_IsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64Range(1, 999_999_999_999_999_999).Draw(t, "number")
		unit := rapid.SampledFrom([]string{"", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"}).Draw(t, "unit")
		exact := new(big.Int).Mul(new(big.Int).SetUint64(number), new(big.Int).SetUint64(memoryUnitBytes[unit]))
		allowed := exact.Cmp(big.NewInt(defaults.MinMemoryBytes)) >= 0 && exact.Cmp(big.NewInt(maxMemoryBytes)) <= 0
		got, err := parseMemory(new(big.Int).SetUint64(number).String() + unit)
		if (err == nil) != allowed {
			t.Fatalf("%d%s: error %v, want allowed %t", number, unit, err, allowed)
		}
		if err == nil && exact.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%d%s = %d, want %s", number, unit, got, exact)
		}
	})
}

// What is shown is read as what it was.
func TestFormat_IsReadBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"2G": "2G", "512Mi": "512Mi", "1.5Gi": "1536Mi", "2Ti": "2Ti", "10000001": "10000001", "8000k": "8M"} {
		size, err := parseMemory(text)
		if got := formatMemory(size); err != nil || got != want {
			t.Errorf("%s is shown as %s (%v), want %s", text, got, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(defaults.MinMemoryBytes, maxMemoryBytes).Draw(t, "size")
		milli := rapid.Int64Range(defaults.MinCPUMilli, maxCPUMilli).Draw(t, "milli")
		if again, err := parseMemory(formatMemory(size)); err != nil || again != size {
			t.Errorf("%d bytes are shown as %s, which is %d (%v)", size, formatMemory(size), again, err)
		}
		if again, err := parseCPU(formatCPU(milli)); err != nil || again != milli {
			t.Errorf("%dm is shown as %s, which is %d (%v)", milli, formatCPU(milli), again, err)
		}
	})
}
