package config

// Parser makes JSON of lines in a known format.
type Parser struct{}
