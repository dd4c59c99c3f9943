package config

import "strings"

// partsOf takes a stream's ARN apart; what is missing gets the defaults.
func partsOf(arn string) (region, account, awsPartition string) {
	f := strings.SplitN(arn, ":", 6)
	if len(f) < 6 {
		return defaultRegion, defaultAccountID, "aws"
	}
	return f[3], f[4], f[1]
}

// keyARN makes an ARN of a key that YAML names by its id or alias.
func keyARN(key, region, account, awsPartition string) string {
	if strings.HasPrefix(key, "arn:") {
		return key
	}
	if !strings.HasPrefix(key, "alias/") {
		key = "key/" + key
	}
	return "arn:" + awsPartition + ":kms:" + region + ":" + account + ":" + key
}
