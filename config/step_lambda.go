package config

// Lambda sends records to an AWS Lambda function, or to what takes the same invocations.
type Lambda struct{}
