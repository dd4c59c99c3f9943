package config

// Sample keeps a share of the records.
type Sample struct{}
