package config

// Timestamp writes a time in one form.
type Timestamp struct{}
