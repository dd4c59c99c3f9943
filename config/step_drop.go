package config

// Drop removes fields.
type Drop struct{}
