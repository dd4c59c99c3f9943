package config

// Rename gives fields other names.
type Rename struct{}
