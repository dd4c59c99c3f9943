package config

// Rollup sums records up over tumbling windows.
type Rollup struct{}
