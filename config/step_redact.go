package config

// Redact hides personal data.
type Redact struct{}
