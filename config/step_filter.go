package config

// Filter keeps or drops records by a jq condition.
type Filter struct{}
