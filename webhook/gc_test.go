package webhook

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheMemoryLimitFollowsWhatIsAlive(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[int64]int64{0: 36, 10: 36, 18: 36, 25: 50, 30: 60, 37: 60, 60: 105} {
		require.Equal(t, want*mib, limitFor(live*mib), "%d MiB alive", live)
	}
	for live := int64(mib); live < 1000*mib; live += mib {
		require.GreaterOrEqual(t, 2*limitFor(live), 3*live, "half as much again, and never less than what is alive")
		require.GreaterOrEqual(t, limitFor(live+mib), limitFor(live))
	}
}
