package daemon

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/delivery/staging"
	"hydrant/internal/spool"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// env is what all streams share.
type env struct {
	fs           vfs.FS
	catalog      *catalog
	pool         *wal.Pool
	guard        *wal.Guard
	diskBytes    int64
	stores       *stores
	slots        *semaphore.Weighted
	spoolDir     string
	spoolBudget  *spool.Budget
	lanes        *spool.LaneBudget
	around       func(delivery.Stage) delivery.Stage                          // every chain of processors; nil: nothing
	staged       func(config.Stream) (staging.Chain, error)                   // in place of processors that are staged, when not nil
	requester    func(stream string, d config.Destination) delivery.Requester // in place of all, when not nil
	loader       func(stream string, d config.Destination) delivery.Loader    // the same
	wholeStreams atomic.Int64                                                 // streams whose destination takes a request or leaves it
	requests     *delivery.Memory
	aws          config.AWS
	dataDir      string
	minFree      int64
	region       string // of AWS services, where nothing else is said
	metrics      *metrics
	logger       *slog.Logger
	now          func() time.Time
	stop         atomic.Bool
}

func (e *env) stopping() error {
	if e.stop.Load() {
		return record.ErrStopping
	}
	return nil
}

// guaranteed is the part of the disk that other streams' backlogs cannot take: what the configuration says, or a little, so
// that one stuck stream cannot shut out all others. All the little ones together never hold back more than a quarter of the disk.
func (e *env) guaranteed(explicit int64) int64 {
	const little, parts = 16 << 20, 4096
	if explicit > 0 {
		return explicit
	}
	share := min(little, e.diskBytes/parts)
	if e.guard.Promised()+share > e.diskBytes/4 {
		return 0
	}
	return share
}

// spoolRoom says why lanes may not be written to disk: half of what is kept free belongs to objects on their way, which free space.
func (e *env) spoolRoom() error {
	free, err := e.fs.FreeBytes(e.dataDir)
	if err == nil && free < e.minFree/2 {
		err = fmt.Errorf("%d bytes are free on the disk", free)
	}
	return err
}
