package config

// Set gives fields values.
type Set struct{}
