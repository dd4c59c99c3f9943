package config

// Dedupe drops records that were seen a short time ago.
type Dedupe struct{}
